"""Class sets: names, display colours and things/stuff, in the order of their ids."""

from __future__ import annotations

from distill_perception.bundle import ClassInfo

# Colours are those that SegNet's CamVid release uses (RGB).
_CAMVID: tuple[tuple[str, tuple[int, int, int], bool], ...] = (
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
)
CAMVID: tuple[ClassInfo, ...] = tuple(
    ClassInfo(id=index, name=name, color=color, kind="thing" if thing else "stuff")
    for index, (name, color, thing) in enumerate(_CAMVID)
)
CAMVID_NAMES: tuple[str, ...] = tuple(item.name for item in CAMVID)
