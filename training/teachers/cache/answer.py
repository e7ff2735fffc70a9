"""What the cache holds about one frame."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.array_store import Arrays
from training.teachers.base import ScoredBoxes, TeacherOutputs
from training.teachers.cache.codes import encode_log_probs
from training.teachers.detection_maps import clip, decode_maps

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Answer:
    """A teacher's answer to one frame of H x W pixels.

    Attributes:
        codes: uint8 [C+1,h,w], see codes.py; None if the teacher does not segment.
        boxes: float32 [K,4], x1, y1, x2, y2 in pixels of the frame; None if it does not detect.
        scores: float16 [K,T], each box's score for every thing class; None with `boxes`.
    """

    codes: NDArray[np.uint8] | None
    boxes: NDArray[np.float32] | None
    scores: NDArray[np.float16] | None

    def arrays(self) -> Arrays:
        """As the store keeps it; codes as differences along the row, which compress better."""
        arrays: Arrays = {}
        if self.codes is not None:
            arrays["codes"] = np.diff(self.codes, axis=2, prepend=np.uint8(0))
        if self.boxes is not None and self.scores is not None:
            arrays.update(boxes=self.boxes, scores=self.scores)
        return arrays

    @staticmethod
    def from_arrays(arrays: Arrays) -> Answer:
        """The inverse of `arrays`."""
        steps = arrays.get("codes")
        codes = None if steps is None else np.cumsum(steps, axis=2, dtype=np.uint8)
        return Answer(codes, arrays.get("boxes"), arrays.get("scores"))


def answers(outputs: TeacherOutputs, height: int, width: int) -> list[Answer]:
    """The answers of a batch of frames of `height` x `width` pixels."""
    frames = outputs.boxes
    if frames is None and outputs.detection is not None:
        frames = [clip(item, height, width) for item in decode_maps(outputs.detection)]
    codes = None if outputs.logits is None else encode_log_probs(outputs.logits).cpu().numpy()
    count = len(codes) if codes is not None else len(frames or [])
    found = []
    for index in range(count):
        boxes, scores = (None, None) if frames is None else _box_arrays(frames[index])
        found.append(Answer(None if codes is None else codes[index], boxes, scores))
    return found


def _box_arrays(item: ScoredBoxes) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    return item.boxes.float().cpu().numpy(), item.scores.half().cpu().numpy()


def image_key(image: Image) -> str:
    """Name of a frame by its content and size, 32 hex digits."""
    digest = hashlib.blake2b(str(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image))
    return digest.hexdigest()


def as_batch(images: list[Image], device: torch.device) -> torch.Tensor:
    """Frames uint8 [H,W,3] of one size -> float [N,3,H,W]."""
    stacked = torch.from_numpy(np.stack(images)).to(device)
    return stacked.permute(0, 3, 1, 2).float().contiguous()
