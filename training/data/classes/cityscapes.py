"""Cityscapes: the 19 classes that are trained and scored, and the label ids of its files.

Cordts et al.: The Cityscapes dataset, CVPR 2016; cityscapesScripts, helpers/labels.py. KITTI's semantic
labels use the same label ids.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.data.class_set import ClassSet
from training.data.classes.build import table

# name, colour, thing, label id in *_labelIds.png
_TRAINED = (
    ("road", (128, 64, 128), False, 7),
    ("sidewalk", (244, 35, 232), False, 8),
    ("building", (70, 70, 70), False, 11),
    ("wall", (102, 102, 156), False, 12),
    ("fence", (190, 153, 153), False, 13),
    ("pole", (153, 153, 153), False, 17),
    ("traffic light", (250, 170, 30), False, 19),
    ("traffic sign", (220, 220, 0), False, 20),
    ("vegetation", (107, 142, 35), False, 21),
    ("terrain", (152, 251, 152), False, 22),
    ("sky", (70, 130, 180), False, 23),
    ("person", (220, 20, 60), True, 24),
    ("rider", (255, 0, 0), True, 25),
    ("car", (0, 0, 142), True, 26),
    ("truck", (0, 0, 70), True, 27),
    ("bus", (0, 60, 100), True, 28),
    ("train", (0, 80, 100), True, 31),
    ("motorcycle", (0, 0, 230), True, 32),
    ("bicycle", (119, 11, 32), True, 33),
)
CITYSCAPES = ClassSet("cityscapes", table(entry[:3] for entry in _TRAINED), void_id=255)

LAST_LABEL_ID = 33
LABEL_TO_CLASS: dict[int, int] = {entry[3]: index for index, entry in enumerate(_TRAINED)}
# Label ids of objects that may pass for one of a class: neither a find nor a miss is a fault.
NOT_SCORED: dict[int, int] = {29: CITYSCAPES.id_of("car"), 30: CITYSCAPES.id_of("truck")}  # caravan, trailer


def label_id_lut() -> NDArray[np.uint8]:
    """From label id to class id, uint8 [256]: void where a label is not trained or not known."""
    lut = np.full(256, CITYSCAPES.void_id, np.uint8)
    for label, index in LABEL_TO_CLASS.items():
        lut[label] = index
    return lut
