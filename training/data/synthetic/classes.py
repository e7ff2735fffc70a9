"""The eleven CamVid classes as the renderer draws and writes them."""

from __future__ import annotations

from training.data.class_sets import CAMVID

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST, VOID = range(12)

NAMES = tuple(item.name for item in CAMVID)
COLORS_RGB = tuple(item.color for item in CAMVID)
THINGS = tuple(item.id for item in CAMVID if item.kind == "thing")


def tag(class_id: int, instance: int = 0) -> int:
    """Class and instance in one 16-bit number: class in the low four bits, instance (< 4096) above."""
    return class_id | (instance << 4)


def class_table() -> list[dict[str, object]]:
    """The classes as plain dictionaries, in the form of `classes.json` and of a bundle's manifest."""
    return [item.model_dump(mode="json") for item in CAMVID]
