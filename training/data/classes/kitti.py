"""KITTI object detection. Its semantic labels are Cityscapes' classes.

Geiger, Lenz, Urtasun: Are we ready for autonomous driving?, CVPR 2012; types as in the object development
kit's readme. `DontCare` marks regions with objects too far to be labelled: no class, but what is found there
is no fault.
"""

from __future__ import annotations

from training.data.class_set import ClassSet
from training.data.classes.build import distinct_color, table

DONT_CARE = "DontCare"
_NAMES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")
KITTI = ClassSet(
    "kitti",
    table((name, distinct_color(index + 1), True) for index, name in enumerate(_NAMES)),
    void_id=255,
)
