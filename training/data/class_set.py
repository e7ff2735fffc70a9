"""A class set: names, colours, things or stuff, in the order of their ids, and the id of void."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from distill_perception.manifest import ClassInfo
from distill_perception.strict import describe_validation_error, did_you_mean
from training.errors import TrainingError


@dataclass(frozen=True)
class ClassSet:
    """Ids 0..len-1 are classes, `void_id` (outside them) is what is not labelled, every other id an error.

    Attributes:
        unannotated: things that a source's annotations leave out: it has no boxes of them, though they may be
            in its frames. They change no frame as the source reads it, so they are left out of caches' keys.
    """

    name: str
    classes: tuple[ClassInfo, ...]
    void_id: int
    unannotated: frozenset[str] = field(default=frozenset(), repr=False)

    def __len__(self) -> int:
        return len(self.classes)

    def means_the_same_as(self, other: ClassSet) -> bool:
        """Whether ids mean the same in both, things and void too; colours may differ."""
        mine, theirs = ([(item.name, item.kind) for item in s.classes] for s in (self, other))
        return mine == theirs and self.void_id == other.void_id

    def annotated(self, ids: Collection[int]) -> ClassSet:
        """This set for a source whose annotations are of the classes `ids` alone."""
        return replace(self, unannotated=frozenset(item.name for item in self.things if item.id not in ids))

    def as_file(self) -> dict[str, Any]:
        """What a file of it holds, for JSON or YAML; see `read_class_set`."""
        return {"classes": [c.model_dump(mode="json") for c in self.classes], "void_id": self.void_id}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in the order of their ids."""
        return tuple(item.name for item in self.classes)

    @cached_property
    def things(self) -> tuple[ClassInfo, ...]:
        """The thing classes in order of id: channel k of a detection heatmap is the k-th of them."""
        return tuple(item for item in self.classes if item.kind == "thing")

    @cached_property
    def known_ids(self) -> NDArray[np.bool_]:
        """Whether a mask may hold an id, bool [256]."""
        known = np.zeros(256, np.bool_)
        known[[*range(len(self)), self.void_id]] = True
        return known

    def id_of(self, name: str) -> int:
        """The id of a class.

        Raises:
            TrainingError: no class of that name; says which one is meant perhaps.
        """
        if name not in self.names:
            raise TrainingError(
                f"class set '{self.name}' has no class '{name}' ({did_you_mean(name, self.names)})"
            )
        return self.names.index(name)

    def check_mask(self, mask: NDArray[np.uint8], where: object) -> None:
        """Refuse a mask uint8 [H,W] with ids that are neither a class nor void.

        Raises:
            TrainingError: names the ids, how many pixels have them and `where` they were found.
        """
        counts = np.bincount(mask.reshape(-1), minlength=256)
        unknown = np.flatnonzero((counts > 0) & ~self.known_ids)
        if unknown.size:
            raise TrainingError(
                f"{where} holds class id {', '.join(map(str, unknown))} ({counts[unknown].sum()} pixels); "
                f"known in class set '{self.name}' are 0..{len(self) - 1} and {self.void_id} for void: "
                "is it of another class set?"
            )

    def check_labels(self, labels: Iterable[int], where: object) -> None:
        """Refuse box labels that are no thing of this set.

        Raises:
            TrainingError: names the label and `where` it was found.
        """
        things = {item.id for item in self.things}
        for label in labels:
            if label not in things:
                known = ", ".join(f"{item.id} {item.name}" for item in self.things) or "none"
                raise TrainingError(
                    f"{where} holds a box of class id {label}; things of class set '{self.name}': {known}"
                )


def read_class_set(path: Path) -> ClassSet:
    """A set of one's own, from JSON or YAML: `classes` (id, name, color, kind) and `void_id`.

    A bundle's manifest and the `classes.json` of a rendered folder have this form.

    Raises:
        TrainingError: not readable or not of this form, or two classes share a name.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content: Any = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        if not isinstance(content, dict):
            raise ValueError("it holds no keys; names alone, which bags take, do not say what are things")
        if missing := {"classes", "void_id"} - content.keys():
            raise ValueError(f"it has no '{min(missing)}'")
        entries = tuple(ClassInfo.model_validate(item) for item in content["classes"])
        void_id = int(content["void_id"])
    except ValidationError as error:
        raise TrainingError(f"{path}: {describe_validation_error(error)}") from error
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TrainingError(
            f"cannot read a class set from {path} ({reason}); expected 'classes', a list of id, "
            "name, color and kind (thing or stuff), and 'void_id'"
        ) from error
    if [item.id for item in entries] != list(range(len(entries))) or not len(entries) <= void_id < 256:
        raise TrainingError(f"{path}: class ids must count up from 0 and void_id ({void_id}) lie above them")
    if twice := [name for name, count in Counter(item.name for item in entries).items() if count > 1]:
        raise TrainingError(f"{path}: class names used twice: {', '.join(twice)}: give each its own")
    return ClassSet(str(path), entries, void_id)
