"""CamVid: the 32 classes of its label pictures, and the 11 that SegNet grouped them into.

Brostow, Fauqueur, Cipolla: Semantic object classes in video, Pattern Recognition Letters 2009. Colours of
the 32 are those of its label_colors.txt; Void, black, is the void id. Badrinarayanan, Kendall, Cipolla:
SegNet, PAMI 2017, for the 11 classes and their colours.
"""

from __future__ import annotations

from training.data.class_set import ClassSet
from training.data.classes.build import table

CAMVID = ClassSet(
    "camvid",
    table(
        [
            ("sky", (128, 128, 128), False),
            ("building", (128, 0, 0), False),
            ("pole", (192, 192, 128), False),
            ("road", (128, 64, 128), False),
            ("pavement", (60, 40, 222), False),
            ("tree", (128, 128, 0), False),
            ("sign_symbol", (192, 128, 128), False),
            ("fence", (64, 64, 128), False),
            ("car", (64, 0, 128), True),
            ("pedestrian", (64, 64, 0), True),
            ("bicyclist", (0, 128, 192), True),
        ]
    ),
    void_id=11,
)

CAMVID32_VOID_COLOR = (0, 0, 0)
CAMVID32 = ClassSet(
    "camvid32",
    table(
        [
            ("Animal", (64, 128, 64), True),
            ("Archway", (192, 0, 128), False),
            ("Bicyclist", (0, 128, 192), True),
            ("Bridge", (0, 128, 64), False),
            ("Building", (128, 0, 0), False),
            ("Car", (64, 0, 128), True),
            ("CartLuggagePram", (64, 0, 192), True),
            ("Child", (192, 128, 64), True),
            ("Column_Pole", (192, 192, 128), False),
            ("Fence", (64, 64, 128), False),
            ("LaneMkgsDriv", (128, 0, 192), False),
            ("LaneMkgsNonDriv", (192, 0, 64), False),
            ("Misc_Text", (128, 128, 64), False),
            ("MotorcycleScooter", (192, 0, 192), True),
            ("OtherMoving", (128, 64, 64), True),
            ("ParkingBlock", (64, 192, 128), False),
            ("Pedestrian", (64, 64, 0), True),
            ("Road", (128, 64, 128), False),
            ("RoadShoulder", (128, 128, 192), False),
            ("Sidewalk", (0, 0, 192), False),
            ("SignSymbol", (192, 128, 128), False),
            ("Sky", (128, 128, 128), False),
            ("SUVPickupTruck", (64, 128, 192), True),
            ("TrafficCone", (0, 0, 64), False),
            ("TrafficLight", (0, 64, 64), False),
            ("Train", (192, 64, 128), True),
            ("Tree", (128, 128, 0), False),
            ("Truck_Bus", (192, 128, 192), True),
            ("Tunnel", (64, 0, 64), False),
            ("VegetationMisc", (192, 192, 0), False),
            ("Wall", (64, 192, 0), False),
        ]
    ),
    void_id=31,
)

# SegNet's grouping of the 32, as MathWorks' camvidPixelLabelIDs ("following the original SegNet training
# methodology") spells it out.
SEGNET_GROUPS: dict[str, tuple[str, ...]] = {
    "sky": ("Sky",),
    "building": ("Bridge", "Building", "Wall", "Tunnel", "Archway"),
    "pole": ("Column_Pole", "TrafficCone"),
    "road": ("Road", "LaneMkgsDriv", "LaneMkgsNonDriv"),
    "pavement": ("Sidewalk", "ParkingBlock", "RoadShoulder"),
    "tree": ("Tree", "VegetationMisc"),
    "sign_symbol": ("SignSymbol", "Misc_Text", "TrafficLight"),
    "fence": ("Fence",),
    "car": ("Car", "SUVPickupTruck", "Truck_Bus", "Train", "OtherMoving"),
    "pedestrian": ("Pedestrian", "Child", "CartLuggagePram", "Animal"),
    "bicyclist": ("Bicyclist", "MotorcycleScooter"),
}
