"""Bringing a whole sample to one size, by the rule and the resampling that the vehicle uses."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from distill_perception.vision.geometry import Letterbox, ResizeRule
from training.data.sample import Sample
from training.data.sources.base import Source, file_key


def resize_sample(sample: Sample, size: tuple[int, int], rule: ResizeRule, void_id: int) -> Sample:
    """Frame, mask (nearest) and boxes at `size` (height, width); a letterbox's border is void.

    Of a frame without a mask the border is not `inside`.

    A sample that has this size already is returned as it is.
    """
    if sample.size == size:
        return sample
    box = Letterbox.fit(sample.size, size, rule)
    window = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
    mask = np.full(size, void_id, np.uint8)
    mask[window] = cv2.resize(sample.mask, (box.width, box.height), interpolation=cv2.INTER_NEAREST_EXACT)
    inside = None
    if not sample.has_mask and (box.height, box.width) != size:
        inside = np.zeros(size, np.bool_)
        inside[window] = True
    scale = np.array([box.width / sample.size[1], box.height / sample.size[0]] * 2, np.float32)
    origin = np.array([box.left, box.top] * 2, np.float32)
    return dataclasses.replace(
        sample,
        image=box.apply(sample.image),
        mask=mask,
        inside=inside,
        boxes=sample.boxes * scale + origin,
        ignored=sample.ignored * scale + origin,
    )


class Resized:
    """A source whose samples are brought to one size."""

    def __init__(self, source: Source, size: tuple[int, int], rule: ResizeRule) -> None:
        self.source = source
        self.class_set = source.class_set
        self.size = size
        self.rule = rule

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        return resize_sample(self.source[index], self.size, self.rule, self.class_set.void_id)

    def key(self, index: int) -> str:
        return file_key([], self.source.key(index), self.size, self.rule)
