"""A teacher with its cache, and the cache alone for data-loading workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.data.array_store import ArrayStore
from training.errors import TrainingError
from training.teachers.base import Teacher, TeacherOutputs
from training.teachers.cache.answer import Answer, Image, answers, as_batch, image_key


class CacheReader:
    """A filled cache without its teacher: small, picklable, for data-loading workers.

    Args:
        store: the teacher's entries.
        hint: what to do about a frame that is not there.
    """

    def __init__(self, store: ArrayStore, hint: str) -> None:
        self.store = store
        self.hint = hint

    def outputs_for(self, image: Image) -> Answer:
        """The answer to a frame uint8 [H,W,3], RGB, as it was before augmentation.

        Raises:
            TrainingError: it is not in the cache.
        """
        arrays = self.store.get(image_key(image))
        if arrays is None:
            raise TrainingError(
                f"teacher.cache: {self.store.folder} lacks a frame of the data set: {self.hint}"
            )
        return Answer.from_arrays(arrays)


class CachedTeacher(Teacher):
    """A teacher whose answers to whole frames are kept in `folder`; `teacher` is that one.

    `forward` asks the teacher itself, as augmented frames never recur; `ask` keeps the answers.

    Args:
        fingerprint: names teacher, settings and class set; the subfolder of this teacher's entries.
        limit: bytes that this teacher's entries may take.
        about: written beside the entries for people.
    """

    def __init__(
        self, teacher: Teacher, fingerprint: str, folder: Path, limit: int, about: dict[str, Any]
    ) -> None:
        flags = (teacher.known, teacher.known_things)
        super().__init__(*(None if item is None else item.tolist() for item in flags))
        self.teacher = teacher
        self.store = ArrayStore(folder / fingerprint, "teacher.cache", limit)
        (self.store.folder / "teacher.json").write_text(json.dumps(about, indent=2, default=str) + "\n")

    def predict(self, images: Tensor) -> TeacherOutputs:
        outputs: TeacherOutputs = self.teacher(images)
        return outputs

    def settings(self) -> dict[str, Any]:
        return self.teacher.settings()

    def has(self, image: Image) -> bool:
        """Whether a frame's answer is on disk, and whole."""
        return self.store.get(image_key(image)) is not None

    def ask(self, images: list[Image]) -> list[Answer]:
        """Ask the teacher about frames of one size and keep its answers."""
        device = next((p.device for p in self.teacher.parameters()), torch.device("cpu"))
        height, width = images[0].shape[:2]
        found = answers(self.teacher(as_batch(images, device)), height, width)
        for image, answer in zip(images, found, strict=True):
            self.store.put(image_key(image), answer.arrays())
        return found

    def reader(self) -> CacheReader:
        """The cache alone."""
        fill = "distill-perception-train teacher fill"
        hint = f"fill it (`{fill}`), or raise teacher.cache.limit_gb if it is full"
        return CacheReader(self.store, hint)
