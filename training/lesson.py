"""Whether there is anything to learn from or to score by: labels of a task that is done, or a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from training.data.source_spec import SourceSpec
from training.data.sources import open_source
from training.errors import TrainingError
from training.recipe import Recipe

LABELS_OF = {"segmentation": "masks", "detection": "boxes"}


class NothingToLearnError(TrainingError):
    """Nothing tells the network what is right."""


def refuse_nothing_to_learn(recipe: Recipe) -> None:
    """Look for a first label where a plain recipe has no distillation losses; most sources show one at once.

    Raises:
        NothingToLearnError: there is none.
        TrainingError: a source is unusable.
    """
    if recipe.distillation or has_labels(recipe.data.train, recipe.model.tasks):
        return
    wanted = labels_of(recipe.model.tasks)
    raise NothingToLearnError(
        f"data.train: no source has labels ({wanted}) and no distillation loss is set: there is nothing to "
        "learn from"
    )


def labels_of(tasks: Sequence[str]) -> str:
    """What the labels of any of the tasks are called."""
    return " or ".join(LABELS_OF[task] for task in tasks)


def has_labels(specs: Sequence[SourceSpec], tasks: Sequence[str]) -> bool:
    """Whether any frame has a mask or known boxes, whichever the tasks are; the sources take turns."""
    sources = [open_source(spec) for spec in specs if spec.use_masks or spec.use_boxes]
    for indices in zip_longest(*(range(len(source)) for source in sources)):
        for source, index in zip(sources, indices, strict=True):
            if index is None:
                continue
            sample = source[index]
            if ("segmentation" in tasks and sample.has_mask) or ("detection" in tasks and sample.has_boxes):
                return True
    return False
