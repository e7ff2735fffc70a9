"""Copy-paste of rare classes: objects, or connected parts, of other frames set into this one.

Ghiasi et al.: Simple copy-paste is a strong data augmentation method for instance segmentation, CVPR 2021.
There objects land anywhere; here a piece keeps its height in the picture, since on a road that goes with its
distance, and moves sideways only, mirrored every other time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.class_set import ClassSet
from training.data.sample import Sample
from training.data.spec import CopyPasteSpec
from training.data.visible import visible_share

SIDEWAYS = 0.25  # largest shift over the picture's width


@dataclass(frozen=True)
class Piece:
    """Part of a frame.

    top, left: its place; pixels: uint8 [h,w,3] RGB; shape: bool [h,w], which of them count.
    """

    class_id: int
    top: int
    left: int
    pixels: NDArray[np.uint8]
    shape: NDArray[np.bool_]


class CopyPaste:
    """Pastes into frames that have a mask; a thing's box is added where the frame's boxes are known.

    Raises:
        TrainingError: the class set has no class of a name.
    """

    def __init__(self, spec: CopyPasteSpec, class_set: ClassSet) -> None:
        self.spec = spec
        self.class_ids = [class_set.id_of(name) for name in spec.classes]
        self.things = {item.id for item in class_set.things}

    def __call__(
        self,
        sample: Sample,
        rng: np.random.Generator,
        donors: Callable[[np.random.Generator], Sample],
        min_visible: float,
    ) -> Sample:
        """`sample` with pieces of one other frame, or as it was; boxes hidden by them are dropped."""
        if not sample.has_mask or rng.random() >= self.spec.probability:
            return sample
        for _ in range(self.spec.tries):
            found = pieces(donors(rng), self.class_ids, self.spec.min_pixels)
            if found:
                count = int(rng.integers(1, min(self.spec.most, len(found)) + 1))
                chosen = rng.choice(len(found), count, replace=False)
                return self._paste(
                    sample, [_moved(found[i], sample.size[1], rng) for i in chosen], min_visible
                )
        return sample

    def _paste(self, sample: Sample, chosen: list[Piece], min_visible: float) -> Sample:
        image, mask = sample.image.copy(), sample.mask.copy()
        for piece in chosen:
            if piece.shape.sum() < self.spec.min_pixels:  # moved out of the picture
                continue
            height, width = piece.shape.shape
            window = np.s_[piece.top : piece.top + height, piece.left : piece.left + width]
            image[window][piece.shape] = piece.pixels[piece.shape]
            mask[window][piece.shape] = piece.class_id
            if not sample.has_boxes and sample.trace is None:
                continue
            covered = np.zeros(mask.shape, np.bool_)
            covered[window] = piece.shape
            if sample.trace is not None:
                sample = dataclasses.replace(sample, trace=sample.trace.without(covered, min_visible))
            if sample.has_boxes:
                sample = sample.with_boxes_hidden(visible_share(sample.boxes, covered) < min_visible)
                if piece.class_id in self.things:
                    boxes = np.vstack([sample.boxes, _box(piece)])
                    labels = np.append(sample.labels, np.int64(piece.class_id))
                    sample = dataclasses.replace(sample, boxes=boxes, labels=labels)
        return dataclasses.replace(sample, image=image, mask=mask)


def pieces(donor: Sample, class_ids: list[int], min_pixels: int) -> list[Piece]:
    """What of the classes a frame holds: a piece for each box of one, else for each connected part.

    None of a class that is ignored somewhere: a crowd's part would be pasted as one object.
    """
    if not donor.has_mask:
        return []
    found = []
    for class_id in class_ids:
        of_class = donor.mask == class_id
        if donor.has_boxes and (donor.labels == class_id).any():
            boxes = donor.boxes[donor.labels == class_id]
            corners = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1).astype(int)
            found += [_piece(donor, class_id, of_class, *corner) for corner in corners.tolist()]
        elif of_class.any() and class_id not in donor.ignored_labels:
            count, parts, stats, _ = cv2.connectedComponentsWithStats(of_class.astype(np.uint8))
            for part in range(1, count):
                x, y, width, height, _ = stats[part].tolist()
                found.append(_piece(donor, class_id, parts == part, x, y, x + width, y + height))
    return [piece for piece in found if piece.shape.sum() >= min_pixels]


def _piece(
    donor: Sample, class_id: int, shape: NDArray[np.bool_], x1: int, y1: int, x2: int, y2: int
) -> Piece:
    return Piece(class_id, y1, x1, donor.image[y1:y2, x1:x2], shape[y1:y2, x1:x2])


def _moved(piece: Piece, width: int, rng: np.random.Generator) -> Piece:
    """Mirrored about the picture's middle or not, shifted sideways, cut at the picture's sides."""
    left, pixels, shape = piece.left, piece.pixels, piece.shape
    if rng.random() < 0.5:
        left, pixels, shape = width - left - shape.shape[1], pixels[:, ::-1], shape[:, ::-1]
    left += int(rng.integers(-int(SIDEWAYS * width), int(SIDEWAYS * width) + 1))
    first, last = max(0, -left), max(0, min(shape.shape[1], width - left))
    return Piece(piece.class_id, piece.top, max(0, left), pixels[:, first:last], shape[:, first:last])


def _box(piece: Piece) -> NDArray[np.float32]:
    """The tightest box around a piece's pixels, float32 [4]."""
    rows, columns = np.flatnonzero(piece.shape.any(1)), np.flatnonzero(piece.shape.any(0))
    x, y = piece.left, piece.top
    return np.array([x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1], np.float32)
