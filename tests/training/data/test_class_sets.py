"""Class tables as the data sets publish them, and the way from one set to another."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from training.data.class_set import ClassSet
from training.data.class_sets import CLASS_SETS, DROPPED, class_set, is_elsewhere, label_mapping, mapping
from training.data.classes.cityscapes import label_id_lut
from training.errors import TrainingError

# MathWorks, camvidPixelLabelIDs.m: colours of the 32 classes under the name of each of the 11.
SEGNET_BY_COLOR = {
    "sky": "128 128 128",
    "building": "0 128 64, 128 0 0, 64 192 0, 64 0 64, 192 0 128",
    "pole": "192 192 128, 0 0 64",
    "road": "128 64 128, 128 0 192, 192 0 64",
    "pavement": "0 0 192, 64 192 128, 128 128 192",
    "tree": "128 128 0, 192 192 0",
    "sign_symbol": "192 128 128, 128 128 64, 0 64 64",
    "fence": "64 64 128",
    "car": "64 0 128, 64 128 192, 192 128 192, 192 64 128, 128 64 64",
    "pedestrian": "64 64 0, 192 128 64, 64 0 192, 64 128 64",
    "bicyclist": "0 128 192, 192 0 192",
}


@pytest.mark.parametrize("name", CLASS_SETS)
def test_every_set_has_unique_names_ids_in_order_and_void_outside(name: str) -> None:
    found = class_set(name)
    assert [item.id for item in found.classes] == list(range(len(found)))
    assert len(set(found.names)) == len(found)
    assert len(found) <= found.void_id <= 255


def test_sets_have_as_many_classes_and_things_as_published() -> None:
    sizes = {name: (len(found), len(found.things)) for name, found in CLASS_SETS.items()}
    assert sizes == {
        "camvid": (11, 3),
        "camvid32": (31, 11),  # CamVid's eleven moving objects; Void is no class
        "cityscapes": (19, 8),
        "bdd100k": (19, 10),
        "bdd100k_drivable": (3 + 10, 10),
        "bdd100k_lane": (9 + 10, 10),
        "kitti": (8, 8),
        "coco": (80, 80),
    }


def test_the_32_camvid_classes_are_grouped_as_segnet_did() -> None:
    fine, coarse = class_set("camvid32"), class_set("camvid")
    expected = {
        tuple(map(int, color.split())): name
        for name, colors in SEGNET_BY_COLOR.items()
        for color in colors.split(", ")
    }
    lut = mapping(fine, coarse)
    assert {item.color: coarse.names[lut[item.id]] for item in fine.classes} == expected
    assert lut[fine.void_id] == coarse.void_id
    assert set(lut[len(fine) :].tolist()) == {coarse.void_id}


def test_cityscapes_label_ids_become_train_ids() -> None:
    # cityscapesScripts, helpers/labels.py: labels 7..33 in order with their train ids; 0..6 are void.
    trains = [0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    trains += [255, 255, 16, 17, 18]
    assert label_id_lut()[:34].tolist() == [255] * 7 + trains
    assert set(label_id_lut()[34:].tolist()) == {255}


def test_a_set_maps_to_itself_unchanged() -> None:
    for found in CLASS_SETS.values():
        same = np.arange(len(found))
        assert (mapping(found, found)[: len(found)] == same).all()
        things = [item.id for item in found.things]
        assert label_mapping(found, found)[things].tolist() == things


def pairs(source: str, target: str, table: np.ndarray) -> dict[str, str]:
    old, new = class_set(source), class_set(target)
    return {n: new.names[table[i]] for i, n in enumerate(old.names) if 0 <= table[i] < len(new)}


def test_sets_without_a_table_meet_through_cityscapes() -> None:
    masks = mapping(class_set("kitti"), class_set("camvid"))
    assert pairs("kitti", "camvid", masks) == {
        "Car": "car",
        "Van": "car",
        "Truck": "car",
        "Tram": "car",
        "Pedestrian": "pedestrian",
        "Person_sitting": "pedestrian",
        "Cyclist": "bicyclist",
    }
    boxes = label_mapping(class_set("coco"), class_set("camvid"))
    assert pairs("coco", "camvid", boxes) == {
        "person": "pedestrian",
        "car": "car",
        "bus": "car",
        "train": "car",
        "truck": "car",
    }


def test_a_rider_and_the_bicycle_below_share_pixels_but_not_a_box() -> None:
    city, camvid = class_set("cityscapes"), class_set("camvid")
    for name in ("rider", "bicycle", "motorcycle"):
        assert camvid.names[mapping(city, camvid)[city.id_of(name)]] == "bicyclist"
    labels = label_mapping(city, camvid)
    assert labels[city.id_of("rider")] == camvid.id_of("bicyclist")
    assert labels[city.id_of("bicycle")] == labels[city.id_of("motorcycle")] == DROPPED


def test_only_things_of_both_sets_keep_their_boxes() -> None:
    bdd, city, coco = (class_set(name) for name in ("bdd100k", "cityscapes", "coco"))
    light = bdd.id_of("traffic light")
    assert label_mapping(bdd, city)[light] == DROPPED  # stuff there
    assert label_mapping(bdd, coco)[light] == coco.id_of("traffic light")
    assert label_mapping(city, bdd)[city.id_of("traffic light")] == DROPPED


def test_a_recipe_may_overrule_the_tables() -> None:
    city, camvid = class_set("cityscapes"), class_set("camvid")
    lut = mapping(city, camvid, {"truck": None, "terrain": "pavement"})
    assert lut[city.id_of("truck")] == camvid.void_id
    assert lut[city.id_of("terrain")] == camvid.id_of("pavement")
    with pytest.raises(TrainingError, match=r"'cityscapes' has no class 'zzz' .*known: road"):
        mapping(city, camvid, {"zzz": "car"})
    with pytest.raises(TrainingError, match=r"'camvid' has no class 'cars' \(did you mean 'car'\?\)"):
        mapping(city, camvid, {"truck": "cars"})


def test_unknown_sets_ids_and_labels_are_named() -> None:
    with pytest.raises(TrainingError, match=r"no class set 'cityscape' \(did you mean 'cityscapes'\?\)"):
        class_set("cityscape")
    camvid = class_set("camvid")
    mask = np.array([[0, 11], [12, 77]], np.uint8)
    with pytest.raises(
        TrainingError, match=r"a\.png holds class id 12, 77 \(2 pixels\); known .* 0\.\.10 and 11"
    ):
        camvid.check_mask(mask, "a.png")
    camvid.check_mask(mask[:1], "a.png")
    with pytest.raises(TrainingError, match=r"b\.json holds a box of class id 3; .*: 8 car, 9 pedestrian"):
        camvid.check_labels([8, 3], "b.json")


def own_classes() -> dict[str, object]:
    return {
        "classes": [
            {"id": 0, "name": "road", "color": [1, 2, 3], "kind": "stuff"},
            {"id": 1, "name": "robot", "color": [4, 5, 6], "kind": "thing"},
        ],
        "void_id": 255,
    }


def test_a_set_of_ones_own_is_read_from_json_or_yaml(tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text(json.dumps(own_classes()))
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump({"name": "bundle", **own_classes()}))
    for name in ("classes.json", "manifest.yaml"):
        own = class_set(str(tmp_path / name))
        assert (own.names, own.void_id, [item.name for item in own.things]) == (
            ("road", "robot"),
            255,
            ["robot"],
        )
    city = class_set("cityscapes")
    assert mapping(own, city).tolist() == [city.id_of("road")] + [255] * 255


def test_classes_that_share_a_name_are_refused(tmp_path: Path) -> None:
    content = own_classes()
    content["classes"][1]["name"] = "road"
    (tmp_path / "classes.json").write_text(json.dumps(content))
    with pytest.raises(TrainingError, match=r"classes\.json: class names used twice: road: give each"):
        class_set(str(tmp_path / "classes.json"))


def test_a_file_is_elsewhere_where_it_cannot_be_looked_for_too(tmp_path: Path) -> None:
    """As in another user's home; the superuser, who may look everywhere, becomes nobody for this."""
    file = tmp_path / "home" / "classes.yaml"
    assert is_elsewhere(str(file))
    assert not is_elsewhere("camvid")
    file.parent.mkdir()
    file.touch()
    assert not is_elsewhere(str(file))
    user = os.geteuid()
    file.parent.chmod(0)
    try:
        os.seteuid(user or 65534)
        assert is_elsewhere(str(file))
    finally:
        os.seteuid(user)
        file.parent.chmod(0o700)


def test_a_file_with_the_classes_of_a_known_set_is_that_set(tmp_path: Path) -> None:
    camvid = class_set("camvid")
    content = {"classes": [item.model_dump(mode="json") for item in camvid.classes], "void_id": 11}
    (tmp_path / "classes.json").write_text(json.dumps(content))
    assert class_set(str(tmp_path / "classes.json")) == camvid


def test_a_file_with_other_things_or_colours_keeps_them(tmp_path: Path) -> None:
    """BDD100K's and Cityscapes' names and void are alike, but in BDD100K lights and signs have boxes."""
    bdd = class_set("bdd100k")
    items = [item.model_dump(mode="json") for item in bdd.classes]
    path = tmp_path / "classes.json"
    path.write_text(json.dumps({"classes": items, "void_id": bdd.void_id}))
    assert class_set(str(path)) == bdd
    items[0]["color"] = [1, 2, 3]
    path.write_text(json.dumps({"classes": items, "void_id": bdd.void_id}))
    found = class_set(str(path))
    assert (found.name, found.classes[0].color) == ("bdd100k", (1, 2, 3))
    assert found.things == bdd.things
    items[0]["kind"] = "thing"
    path.write_text(json.dumps({"classes": items, "void_id": bdd.void_id}))
    assert class_set(str(path)).name not in ("bdd100k", "cityscapes")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"void_id": 1}, r"void_id \(1\) lie above"),
        ({"classes": [{"id": 0, "name": "x", "color": [1, 2, 3], "kind": "thin"}]}, "kind"),
        ({"classes": None}, "cannot read a class set .*expected 'classes'"),
    ],
)
def test_a_faulty_set_of_ones_own_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text(json.dumps({**own_classes(), **change}))
    with pytest.raises(TrainingError, match=message):
        class_set(str(tmp_path / "classes.json"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (["road", "car"], "names alone, which bags take, do not say what are things"),
        ({"classes": own_classes()["classes"]}, "it has no 'void_id'"),
    ],
)
def test_a_file_that_is_no_set_says_what_it_lacks(content: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text(json.dumps(content))
    with pytest.raises(TrainingError, match=f"cannot read a class set .*{message}"):
        class_set(str(tmp_path / "classes.json"))


def test_sets_with_nothing_in_common_ask_for_names() -> None:
    robot = class_set("kitti").classes[0].model_copy(update={"name": "robot"})
    own = ClassSet("own", (robot,), 255)
    with pytest.raises(
        TrainingError, match=r"no class of 'own' has a counterpart in 'camvid'.*classes: \{robot:"
    ):
        mapping(own, class_set("camvid"))
    assert mapping(own, class_set("camvid"), {"robot": "car"})[0] == 8
