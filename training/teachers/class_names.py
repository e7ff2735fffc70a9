"""When two data sets mean the same class by different names."""

from __future__ import annotations

import re

# Each line is one class in the spelling of CamVid, Cityscapes, BDD100K, Mapillary, ADE20K, COCO or KITTI.
_SYNONYMS: tuple[frozenset[str], ...] = tuple(
    frozenset(group.split("; "))
    for group in (
        "pavement; sidewalk; footpath",
        "road; street; roadway",
        "tree; vegetation; nature",
        "pedestrian; person; people; human; walker",
        "bicyclist; cyclist; rider",
        "bicycle; bike",
        "motorcycle; motorbike; minibike",
        "car; automobile; auto",
        "truck; lorry",
        "sign symbol; traffic sign; sign; signboard; sign board",
        "traffic light; traffic signal; stoplight",
        "pole; column pole",
        "fence; railing",
        "building; edifice",
        "airplane; aeroplane; plane",
        "sofa; couch",
        "tv; television; tvmonitor; tv monitor",
        "dining table; diningtable",
        "potted plant; pottedplant",
    )
)
_SUFFIXES = re.compile(r" (other merged|merged|other|stuff)$")


def plain(name: str) -> str:
    """`Traffic_Sign` -> `traffic sign`; COCO panoptic's `sky-other-merged` -> `sky`."""
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
    return _SUFFIXES.sub("", words)


def spellings(name: str) -> set[str]:
    """Every plain name that means the same class; ADE20K lists several in one, `road, route`."""
    names = {plain(part) for part in re.split(r"[,;]", name)} - {""}
    for group in _SYNONYMS:
        if names & group:
            names |= group
    return names
