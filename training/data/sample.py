"""The one sample type that every data set is read into, and the batch that the network trains on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.answers import Answers
from training.data.trace import Trace


def no_boxes() -> NDArray[np.float32]:
    """Float32 [0,4]."""
    return np.zeros((0, 4), np.float32)


def no_labels() -> NDArray[np.int64]:
    """Int64 [0]."""
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Sample:
    """A frame and whatever labels it has. Which class set its ids belong to is known by its source.

    Attributes:
        image: uint8 [H,W,3], RGB.
        mask: uint8 [H,W], class ids, the class set's void id where undefined; all void if not `has_mask`.
        boxes: float32 [K,4], x1, y1, x2, y2 in pixels; empty if there are none or they are not known.
        labels: int64 [K], class ids of the boxes, things all.
        ignored: float32 [I,4], regions in which nobody told single objects from one another.
        ignored_labels: int64 [I], the things that may be there: neither a find nor a miss of one is a fault.
        has_boxes: false: what objects there are is not known, so neither train nor score detection on it.
        inside: bool [H,W], of a frame without a mask: its own pixels, not border, padding or cut out; all if
            None. In a mask the others are void.
        trace: where its pixels come from, while somebody's answer follows it through augmentation.
    """

    name: str
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    boxes: NDArray[np.float32] = field(default_factory=no_boxes)
    labels: NDArray[np.int64] = field(default_factory=no_labels)
    has_mask: bool = True
    has_boxes: bool = False
    ignored: NDArray[np.float32] = field(default_factory=no_boxes)
    ignored_labels: NDArray[np.int64] = field(default_factory=no_labels)
    inside: NDArray[np.bool_] | None = None
    trace: Trace | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.image.shape[:2]
        return height, width

    def with_boxes_hidden(self, hidden: NDArray[np.bool_]) -> Sample:
        """The boxes `hidden`, bool [K], become regions to ignore: too little of them is seen to be found."""
        return replace(
            self,
            boxes=self.boxes[~hidden],
            labels=self.labels[~hidden],
            ignored=np.vstack([self.ignored, self.boxes[hidden]]),
            ignored_labels=np.concatenate([self.ignored_labels, self.labels[hidden]]),
        )


@dataclass
class Batch:
    """Samples of one size as tensors.

    Attributes:
        images: uint8 [N,3,H,W], RGB.
        masks: int64 [N,H,W], class ids, void where undefined.
        boxes: N times float32 [K,4], x1, y1, x2, y2 in pixels.
        labels: N times int64 [K], class ids.
        has_mask, has_boxes: bool [N], as in `Sample`.
        names: N names of the samples.
        inside: bool [N,H,W], as in `Sample`, False in frames that have a mask; None if all have one.
        answers: a teacher's, where they come from its cache.
        ignored, ignored_labels: N times float32 [I,4] and int64 [I], as in `Sample`; empty: there are none.
    """

    images: Tensor
    masks: Tensor
    boxes: list[Tensor]
    labels: list[Tensor]
    has_mask: Tensor
    has_boxes: Tensor
    names: list[str] = field(default_factory=list)
    inside: Tensor | None = None
    answers: Answers | None = None
    ignored: list[Tensor] = field(default_factory=list)
    ignored_labels: list[Tensor] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """A copy on `device`; Lightning calls this for every batch."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """A copy in page-locked memory; torch's data loader calls this if asked to pin."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            change(self.images),
            change(self.masks),
            [change(boxes) for boxes in self.boxes],
            [change(labels) for labels in self.labels],
            change(self.has_mask),
            change(self.has_boxes),
            list(self.names),
            None if self.inside is None else change(self.inside),
            None if self.answers is None else self.answers.map(change),
            [change(boxes) for boxes in self.ignored],
            [change(labels) for labels in self.ignored_labels],
        )


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples of one size as a batch; its images lie in memory as the frames do (channels_last)."""
    return Batch(
        torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([sample.mask for sample in samples])).long(),
        [torch.from_numpy(sample.boxes) for sample in samples],
        [torch.from_numpy(sample.labels) for sample in samples],
        torch.tensor([sample.has_mask for sample in samples]),
        torch.tensor([sample.has_boxes for sample in samples]),
        [sample.name for sample in samples],
        inside=None if all(sample.has_mask for sample in samples) else _inside(samples),
        ignored=[torch.from_numpy(sample.ignored) for sample in samples],
        ignored_labels=[torch.from_numpy(sample.ignored_labels) for sample in samples],
    )


def _inside(samples: Sequence[Sample]) -> Tensor:
    """`Batch.inside`, bool [N,H,W]."""
    inside = np.stack([np.full(sample.size, not sample.has_mask) for sample in samples])
    for flags, sample in zip(inside, samples, strict=True):
        if sample.inside is not None:
            flags &= sample.inside
    return torch.from_numpy(inside)
