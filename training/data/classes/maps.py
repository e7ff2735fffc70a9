"""Which class of one set is which of another, by name; pairs not named here go through Cityscapes.

A class that has no counterpart, or several (CamVid's bicyclist is a rider and a bicycle), is left out: its
pixels become void and its boxes are dropped.
"""

from __future__ import annotations

from training.data.classes.camvid import SEGNET_GROUPS

Names = dict[str, str]

HUB = "cityscapes"

# (source, target) -> source name: target name. Names equal in both sets need no entry.
RENAMED: dict[tuple[str, str], Names] = {
    ("camvid32", "camvid"): {old: new for new, group in SEGNET_GROUPS.items() for old in group},
    ("camvid", "cityscapes"): {
        "pavement": "sidewalk",
        "tree": "vegetation",
        "sign_symbol": "traffic sign",
        "pedestrian": "person",
    },
    ("camvid32", "cityscapes"): {
        "Archway": "building",
        "Building": "building",
        "Car": "car",
        "Child": "person",
        "Column_Pole": "pole",
        "Fence": "fence",
        "LaneMkgsDriv": "road",
        "LaneMkgsNonDriv": "road",
        "MotorcycleScooter": "motorcycle",
        "Pedestrian": "person",
        "Road": "road",
        "Sidewalk": "sidewalk",
        "SignSymbol": "traffic sign",
        "Sky": "sky",
        "SUVPickupTruck": "car",
        "TrafficLight": "traffic light",
        "Train": "train",
        "Tree": "vegetation",
        "VegetationMisc": "vegetation",
        "Wall": "wall",
    },
    # Grouped as SegNet groups the 32.
    ("cityscapes", "camvid"): {
        "sidewalk": "pavement",
        "wall": "building",
        "traffic light": "sign_symbol",
        "traffic sign": "sign_symbol",
        "vegetation": "tree",
        "terrain": "tree",
        "person": "pedestrian",
        "rider": "bicyclist",
        "truck": "car",
        "bus": "car",
        "train": "car",
        "motorcycle": "bicyclist",
        "bicycle": "bicyclist",
    },
    ("cityscapes", "bdd100k"): {},
    ("bdd100k", "cityscapes"): {},
    ("bdd100k_drivable", "cityscapes"): {},
    ("bdd100k_lane", "cityscapes"): {},
    ("kitti", "cityscapes"): {
        "Car": "car",
        "Van": "car",
        "Truck": "truck",
        "Pedestrian": "person",
        "Person_sitting": "person",
        "Cyclist": "rider",
        "Tram": "train",
    },
    ("cityscapes", "kitti"): {
        "car": "Car",
        "truck": "Truck",
        "person": "Pedestrian",
        "rider": "Cyclist",
        "train": "Tram",
    },
    ("camvid", "kitti"): {"car": "Car", "pedestrian": "Pedestrian", "bicyclist": "Cyclist"},
    ("coco", "cityscapes"): {"stop sign": "traffic sign"},
    ("cityscapes", "coco"): {"rider": "person"},
    # Both have boxes of lights and signs, which Cityscapes has not.
    ("bdd100k", "coco"): {"rider": "person"},
    ("coco", "bdd100k"): {"stop sign": "traffic sign"},
}

# (source, target) -> classes whose boxes would double another's: who rides is boxed, so is what is ridden.
WITHOUT_BOXES: dict[tuple[str, str], frozenset[str]] = {
    ("cityscapes", "camvid"): frozenset({"motorcycle", "bicycle"}),
}
