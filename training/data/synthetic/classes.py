"""The eleven CamVid classes, their ids and colours, as the renderer writes them."""

from __future__ import annotations

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST, VOID = range(12)

NAMES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign_symbol",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
COLORS_RGB = (
    (128, 128, 128),
    (128, 0, 0),
    (192, 192, 128),
    (128, 64, 128),
    (60, 40, 222),
    (128, 128, 0),
    (192, 128, 128),
    (64, 64, 128),
    (64, 0, 128),
    (64, 64, 0),
    (0, 128, 192),
)
THINGS = (CAR, PEDESTRIAN, BICYCLIST)


def tag(class_id: int, instance: int = 0) -> int:
    """Class and instance in one 16-bit number: class in the low four bits, instance (< 4096) above."""
    return class_id | (instance << 4)


def class_table() -> list[dict[str, object]]:
    """The classes as plain dictionaries, in the form of `classes.json` and of a bundle's manifest."""
    return [
        {"id": i, "name": name, "color": list(color), "kind": "thing" if i in THINGS else "stuff"}
        for i, (name, color) in enumerate(zip(NAMES, COLORS_RGB, strict=True))
    ]
