"""Random changes to training samples that keep frame, mask and boxes in step (albumentations).

Geometry works on all three, light and weather on the frame alone. What is padded or cut out is void; in a
frame without a mask it is not `inside`.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from distill_perception.vision.geometry import PAD_VALUE
from training.data.class_set import ClassSet
from training.data.copy_paste import CopyPaste
from training.data.fog import Fog
from training.data.sample import Sample
from training.data.spec import AugmentSpec, CutoutSpec
from training.data.trace import Trace
from training.data.visible import visible_share

Donors = Callable[[np.random.Generator], Sample]
CAME_FROM = "came_from"


class Augmenter:
    """Everything that `AugmentSpec` asks for; the same random generator state gives the same sample.

    Raises:
        TrainingError: copy-paste names a class that the set does not have.
    """

    def __init__(self, spec: AugmentSpec, class_set: ClassSet) -> None:
        self.spec = spec
        self.void_id = class_set.void_id
        boxes = A.BboxParams(
            "pascal_voc",
            min_visibility=spec.min_visible,
            min_width=spec.min_box,
            min_height=spec.min_box,
            check_each_transform=False,  # once, at the end: faster, and only the crop can hide anything
        )
        self._changes = A.Compose(
            _transforms(spec, class_set.void_id),
            bbox_params=boxes,
            # Regions to ignore hold however little is left of them, boxes do not: they go as their corners.
            keypoint_params=A.KeypointParams("xy", remove_invisible=False),
            additional_targets={CAME_FROM: "mask"},
        )
        self._holes = None if spec.cutout is None else _holes(spec.cutout)
        self._paste = None if spec.copy_paste is None else CopyPaste(spec.copy_paste, class_set)

    def __call__(self, sample: Sample, rng: np.random.Generator, donors: Donors) -> Sample:
        """A changed sample of size `spec.crop`.

        Args:
            rng: the only source of randomness.
            donors: draws other samples of the same size and class set, to copy from.
        """
        if self._paste is not None:
            sample = self._paste(sample, rng, donors, self.spec.min_visible)
        state = random.Random(int(rng.integers(2**63)))
        # One shared state: seeding each transform alike would tie their random choices together.
        self._changes.set_random_state(rng, state)
        regions = np.vstack([sample.ignored, sample.boxes])
        boxes, more = sample.boxes, {"keypoints": regions.reshape(-1, 2)}
        if sample.trace is not None:
            boxes = np.vstack([boxes, sample.trace.boxes])
            more[CAME_FROM] = sample.trace.came_from
        rows = np.arange(len(boxes), dtype=np.float32)[:, None]
        mask = sample.mask if sample.has_mask else self._whereabouts(sample)
        out = self._changes(image=sample.image, mask=mask, bboxes=np.hstack([boxes, rows]), **more)
        found = np.asarray(out["bboxes"], np.float32).reshape(-1, 5)
        boxes, kept = np.ascontiguousarray(found[:, :4]), found[:, 4].astype(int)
        first = len(sample.labels)
        own = kept < first
        if sample.trace is not None:
            rows_left = sample.trace.rows[kept[~own] - first]
            sample = dataclasses.replace(sample, trace=Trace(out[CAME_FROM], boxes[~own], rows_left))
        mask, inside = out["mask"], None
        if not sample.has_mask:
            mask, inside = np.full_like(mask, self.void_id), mask != self.void_id
        regions, left = self._regions(out["keypoints"])
        # What is left of a box of which too little is left to find is no background either.
        labels = np.concatenate([sample.ignored_labels, sample.labels])[left]
        ignored = ~np.isin(left - len(sample.ignored), kept[own])
        sample = dataclasses.replace(
            sample,
            image=out["image"],
            mask=mask,
            inside=inside,
            boxes=boxes[own],
            labels=sample.labels[kept[own]],
            ignored=regions[ignored],
            ignored_labels=labels[ignored],
        )
        return sample if self._holes is None else self._cut_out(sample, rng, state)

    def _regions(self, corners: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Regions float32 [K,4] from two moved corners each, cut to the crop, and which of them are left."""
        found = np.asarray(corners, np.float32).reshape(-1, 4)
        mirrored = found[:, 0] > found[:, 2]
        # albumentations mirrors pixel 0 to pixel W - 1; a region's edge at 0 goes to W.
        found[mirrored] = found[mirrored][:, [2, 1, 0, 3]] + np.array([1, 0, 1, 0], np.float32)
        height, width = self.spec.crop
        found = found.clip(0, np.array([width, height, width, height], np.float32))
        left = np.flatnonzero((found[:, 2] > found[:, 0]) & (found[:, 3] > found[:, 1]))
        return found[left], left

    def _whereabouts(self, sample: Sample) -> NDArray[np.uint8]:
        """In place of a frame's mask, uint8 [H,W]: void where a pixel is not its own, as padding will be."""
        own = np.full(sample.size, self.void_id ^ 1, np.uint8)  # any id but void
        if sample.inside is not None:
            own[~sample.inside] = self.void_id
        return own

    def _cut_out(self, sample: Sample, rng: np.random.Generator, state: random.Random) -> Sample:
        assert self._holes is not None
        self._holes.set_random_state(rng, state)
        out = self._holes(image=sample.image, mask=np.zeros_like(sample.mask))
        covered = out["mask"] > 0
        mask = np.where(covered, np.uint8(self.void_id), sample.mask)
        inside = None if sample.inside is None else sample.inside & ~covered
        trace = None if sample.trace is None else sample.trace.without(covered, self.spec.min_visible)
        sample = sample.with_boxes_hidden(visible_share(sample.boxes, covered) < self.spec.min_visible)
        return dataclasses.replace(sample, image=out["image"], mask=mask, inside=inside, trace=trace)


def _transforms(spec: AugmentSpec, void_id: int) -> list[A.BasicTransform | A.BaseCompose]:
    height, width = spec.crop
    strength = spec.color_strength
    changes = [
        # Plain INTER_NEAREST takes each cell's first pixel: masks would lie half a pixel off their pictures.
        A.RandomScale(
            scale_limit=(spec.scale[0] - 1, spec.scale[1] - 1),
            mask_interpolation=cv2.INTER_NEAREST_EXACT,
            p=1.0,
        ),
        A.PadIfNeeded(height, width, position="random", fill=PAD_VALUE, fill_mask=void_id),
        A.RandomCrop(height, width),
        A.HorizontalFlip(p=spec.flip),
        A.ColorJitter(
            brightness=strength, contrast=strength, saturation=strength, hue=spec.hue, p=spec.color
        ),
        A.OneOf([A.GaussianBlur((3, 5)), A.GaussNoise((0.01, 0.05))], p=spec.blur),
    ]
    return [*changes, _weather(spec.weather)] if spec.weather else changes


def _weather(probability: float) -> A.OneOf:
    """Mild enough that a person still names every class."""
    return A.OneOf(
        [
            A.RandomRain(drop_length=8, brightness_coefficient=0.85, blur_value=3),
            Fog(),
            A.RandomSunFlare(src_radius=100, num_flare_circles_range=(3, 6)),
            A.RandomShadow(shadow_intensity_range=(0.25, 0.5)),
        ],
        p=probability,
    )


def _holes(spec: CutoutSpec) -> A.Compose:
    hole = A.CoarseDropout(
        num_holes_range=spec.holes,
        hole_height_range=spec.size,
        hole_width_range=spec.size,
        fill=PAD_VALUE,
        fill_mask=1,
        p=spec.probability,
    )
    return A.Compose([hole])
