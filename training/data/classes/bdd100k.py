"""BDD100K: 10 detection classes; semantic as Cityscapes; drivable area; lane markings.

Yu et al.: BDD100K, CVPR 2020; ids as in the bdd100k toolkit (doc/source/format.rst, label/label.py).
A frame has one mask but may have boxes too, so each set holds the detection classes beside the mask's.
"""

from __future__ import annotations

from training.data.class_set import ClassSet
from training.data.classes.build import table
from training.data.classes.cityscapes import CITYSCAPES

# In the toolkit's order (its category ids 1..10). Its "pedestrian" is Cityscapes' "person".
DETECTION_NAMES = (
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
    "traffic light",
    "traffic sign",
)
_COLORS = {item.name: item.color for item in CITYSCAPES.classes}
_DETECTION = [(name, _COLORS[name], True) for name in DETECTION_NAMES]
_DRIVABLE = [
    ("direct", (219, 94, 86), False),
    ("alternative", (86, 211, 219), False),
    ("background", (0, 0, 0), False),
]
_LANE = [
    ("crosswalk", (219, 94, 86), False),
    ("double other", (219, 194, 86), False),
    ("double white", (145, 219, 86), False),
    ("double yellow", (86, 219, 127), False),
    ("road curb", (86, 211, 219), False),
    ("single other", (86, 111, 219), False),
    ("single white", (160, 86, 219), False),
    ("single yellow", (219, 86, 178), False),
    ("background", (0, 0, 0), False),
]

BDD100K = ClassSet(
    "bdd100k",
    table((item.name, item.color, item.name in DETECTION_NAMES) for item in CITYSCAPES.classes),
    void_id=255,
)
BDD100K_DRIVABLE = ClassSet("bdd100k_drivable", table([*_DRIVABLE, *_DETECTION]), void_id=255)
BDD100K_LANE = ClassSet("bdd100k_lane", table([*_LANE, *_DETECTION]), void_id=255)

# Names of older label releases and of the 2020 one (bdd100k/configs/det.toml: name_mapping).
LABEL_NAMES: dict[str, str] = {
    **{name: name for name in DETECTION_NAMES},
    "pedestrian": "person",
    "bike": "bicycle",
    "motor": "motorcycle",
    "caravan": "car",
    "van": "car",
}
# Objects that may pass for one of a class: neither a find nor a miss is a fault (there: ignore_mapping).
NOT_SCORED: dict[str, str] = {"other person": "person", "other vehicle": "car", "trailer": "truck"}
# Of the 2018 label files, which hold areas and lanes among the objects.
NOT_OBJECTS = ("area/drivable", "area/alternative", "area/unknown", "drivable area", "lane")
