"""Class sets by name, and the look-up tables from one to another, so that data sets can be mixed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill_perception.manifest import ClassInfo
from distill_perception.strict import did_you_mean
from training.data.class_set import ClassSet, read_class_set
from training.data.classes import bdd100k, camvid, cityscapes, coco, kitti
from training.data.classes.maps import HUB, RENAMED, WITHOUT_BOXES
from training.errors import TrainingError

CLASS_SETS: dict[str, ClassSet] = {
    item.name: item
    for item in (
        camvid.CAMVID,
        camvid.CAMVID32,
        cityscapes.CITYSCAPES,
        bdd100k.BDD100K,
        bdd100k.BDD100K_DRIVABLE,
        bdd100k.BDD100K_LANE,
        kitti.KITTI,
        coco.COCO,
    )
}
CAMVID: tuple[ClassInfo, ...] = camvid.CAMVID.classes

FILE_SUFFIXES = (".json", ".yaml", ".yml")
DROPPED = -1
Overrides = Mapping[str, str | None]


def class_set(name: str) -> ClassSet:
    """A class set by its name, or from a JSON or YAML file that holds one (see `read_class_set`).

    Raises:
        TrainingError: neither; says which name is meant perhaps.
    """
    if name in CLASS_SETS:
        return CLASS_SETS[name]
    if Path(name).suffix in FILE_SUFFIXES:
        found = read_class_set(Path(name))
        same = [known.name for known in CLASS_SETS.values() if known.means_the_same_as(found)]
        return replace(found, name=same[0]) if same else found
    raise TrainingError(
        f"no class set '{name}' ({did_you_mean(name, CLASS_SETS)}); for one of your own give a .json or "
        ".yaml file"
    )


def is_elsewhere(name: str) -> bool:
    """Whether a class set is of a file that is not here: of another machine, or in another user's folder."""
    return Path(name).suffix in FILE_SUFFIXES and not os.path.isfile(name)  # Path's raises on closed folders


def mapping(source: ClassSet, target: ClassSet, overrides: Overrides | None = None) -> NDArray[np.uint8]:
    """Table for masks: `mapping(a, b)[mask]` brings class ids of `source` to those of `target`.

    Args:
        overrides: source class name -> target class name, or None for void, before the tables.

    Returns:
        uint8 [256]; void where a class has no counterpart.

    Raises:
        TrainingError: an override names an unknown class, or the sets have nothing in common.
    """
    lut = np.full(256, target.void_id, np.uint8)
    for old, (new, _) in _counterparts(source, target, overrides or {}).items():
        lut[source.id_of(old)] = target.id_of(new)
    return lut


def label_mapping(
    source: ClassSet, target: ClassSet, overrides: Overrides | None = None
) -> NDArray[np.int64]:
    """Table for box labels: `label_mapping(a, b)[labels]`, with `DROPPED` (-1) for boxes to leave out.

    Only things have boxes, in both sets, and of the source's those that its annotations are of; see also
    `WITHOUT_BOXES`. Arguments and errors as of `mapping`.

    Returns:
        int64 [256].
    """
    lut = np.full(256, DROPPED, np.int64)
    for old, (new, boxed) in _counterparts(source, target, overrides or {}).items():
        pair = source.classes[source.id_of(old)], target.classes[target.id_of(new)]
        if boxed and old not in source.unannotated and all(item.kind == "thing" for item in pair):
            lut[pair[0].id] = pair[1].id
    return lut


def _counterparts(source: ClassSet, target: ClassSet, overrides: Overrides) -> dict[str, tuple[str, bool]]:
    """Source name -> (target name, whether boxes go along)."""
    found: dict[str, tuple[str, bool]] = {}
    for name in source.names:
        pair = _through_tables(name, source, target)
        if pair is not None:
            found[name] = pair
    for old, new in overrides.items():
        source.id_of(old)
        if new is None:
            found.pop(old, None)
        else:
            target.id_of(new)
            found[old] = (new, True)
    if source.names and not found:
        raise TrainingError(
            f"no class of '{source.name}' has a counterpart in '{target.name}': name some in the recipe, "
            f"classes: {{{source.names[0]}: {target.names[0]}, ...}}"
        )
    return found


def _through_tables(name: str, source: ClassSet, target: ClassSet) -> tuple[str, bool] | None:
    direct = source.name == target.name or HUB in (source.name, target.name)
    direct = direct or (source.name, target.name) in RENAMED
    if direct or not {(source.name, HUB), (HUB, target.name)} <= RENAMED.keys():
        return _one_step(name, source, target)
    middle = _one_step(name, source, CLASS_SETS[HUB])
    if middle is None:
        return None
    last = _one_step(middle[0], CLASS_SETS[HUB], target)
    return None if last is None else (last[0], middle[1] and last[1])


def _one_step(name: str, source: ClassSet, target: ClassSet) -> tuple[str, bool] | None:
    pair = (source.name, target.name)
    new = RENAMED.get(pair, {}).get(name, name)
    return (new, name not in WITHOUT_BOXES.get(pair, ())) if new in target.names else None
