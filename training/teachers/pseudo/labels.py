"""From a teacher's answer to labels: what it is sure of, void elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from training.data.class_set import ClassSet
from training.errors import TrainingError
from training.models.outputs import upsample
from training.teachers.base import ScoredBoxes
from training.teachers.log_probs import with_missing


@dataclass(frozen=True)
class Thresholds:
    """How sure a teacher must be.

    Attributes:
        confidence: least probability of a pixel's class.
        by_class: the same for single classes by name; thin and rare ones are seldom sure of themselves (Zou
            et al., "Class-balanced self-training", ECCV 2018).
        score: least score of a box.
    """

    confidence: float = 0.8
    by_class: Mapping[str, float] = field(default_factory=dict)
    score: float = 0.5

    def of_classes(self, class_set: ClassSet) -> Tensor:
        """float [C].

        Raises:
            TrainingError: `by_class` names a class that the set does not have, or a value outside 0..1.
        """
        for name, value in {"confidence": self.confidence, "score": self.score, **self.by_class}.items():
            if not 0 <= value <= 1:
                raise TrainingError(f"threshold {name} is {value}; it must lie between 0 and 1")
        values = torch.full((len(class_set),), self.confidence)
        for name, value in self.by_class.items():
            values[class_set.id_of(name)] = value
        return values


def confident_masks(log_probs: Tensor, size: tuple[int, int], thresholds: Tensor, void_id: int) -> Tensor:
    """Class ids uint8 [N,H,W]: the most probable class, void where it is below its threshold.

    Also void is what the teacher holds for none of the student's classes.

    Args:
        log_probs: float [N,C,h,w], whose sum may be below one.
        size: H, W of the frames.
        thresholds: float [C].
    """
    logits = upsample(with_missing(log_probs), *size)
    best, ids = logits.softmax(1).max(1)
    none = log_probs.shape[1]
    needed = torch.cat([thresholds, thresholds.new_full((1,), torch.inf)]).to(best.device)[ids]
    return torch.where((best >= needed) & (ids != none), ids, void_id).to(torch.uint8)


def confident_boxes(item: ScoredBoxes, class_set: ClassSet, score: float) -> list[list[float]]:
    """x1, y1, x2, y2, class id, score of each box whose best class reaches `score`, best first.

    Boxes without width or height, in hundredths of a pixel as they are written, are left out.
    """
    if item.scores.shape[1] == 0 or len(item.boxes) == 0:
        return []
    best, channel = item.scores.float().max(1)
    things = torch.tensor([entry.id for entry in class_set.things], device=best.device)
    rows = torch.cat([item.boxes.float(), things[channel][:, None].float(), best[:, None]], 1)
    order = best.argsort(descending=True)
    sides = (rows[:, 2:4] - rows[:, :2]).amin(1)
    kept: list[list[float]] = rows[order][((best >= score) & (sides >= 0.01))[order]].tolist()
    return kept
