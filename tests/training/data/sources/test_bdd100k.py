"""BDD100K as published: boxes with one kind of mask, or none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.data.sources.files import blocks, picture, write_ids, write_json, write_rgb
from training.data.source_spec import Bdd100kSpec
from training.data.sources import open_source
from training.errors import TrainingError

NAME = "0000f77c-6257be58"


def frames() -> list[dict[str, Any]]:
    box = {"x1": 1.5, "y1": 2.5, "x2": 8.0, "y2": 9.0}
    return [
        {
            "name": f"{NAME}.jpg",
            "attributes": {"weather": "clear", "scene": "city street", "timeofday": "daytime"},
            "timestamp": 10000,
            "labels": [
                {"id": "1", "category": "traffic light", "box2d": box, "attributes": {"occluded": False}},
                {"id": "2", "category": "pedestrian", "box2d": box},
                {"id": "3", "category": "other vehicle", "box2d": box},
                {"id": "4", "category": "motorcycle", "box2d": box},
            ],
        },
        {"name": "empty.jpg", "labels": None},
    ]


@pytest.fixture
def bdd(tmp_path: Path) -> Path:
    for name in (NAME, "empty", "unlisted"):
        write_rgb(tmp_path / "images" / "100k" / "train" / f"{name}.jpg", picture())
        for kind, mask in {
            "drivable": blocks(0, 1, 2, 2),
            "lane": blocks(0b0111, 0b110100, 255, 0b1000),
        }.items():
            write_ids(tmp_path / "labels" / kind / "masks" / "train" / f"{name}.png", mask)
    write_rgb(tmp_path / "images" / "10k" / "train" / f"{NAME}.jpg", picture())
    write_ids(tmp_path / "labels" / "sem_seg" / "masks" / "train" / f"{NAME}.png", blocks(0, 18, 6, 255))
    write_json(tmp_path / "labels" / "det_20" / "det_train.json", frames())
    return tmp_path


def spec(path: Path, **changes: Any) -> Bdd100kSpec:
    return Bdd100kSpec(name="b", path=path, **changes)


def test_boxes_are_read_in_the_ten_classes(bdd: Path) -> None:
    source = open_source(spec(bdd))
    by_name = {source[i].name: source[i] for i in range(len(source))}
    sample = by_name[NAME]
    assert [source.class_set.names[i] for i in sample.labels] == ["traffic light", "person", "motorcycle"]
    np.testing.assert_array_equal(sample.boxes[0], [1.5, 2.5, 8, 9])
    assert (sample.has_mask, sample.has_boxes) == (False, True)
    assert (by_name["empty"].has_boxes, len(by_name["empty"].boxes)) == (True, 0)
    assert by_name["unlisted"].has_boxes is False


def test_what_may_pass_for_a_class_is_ignored_for_it(bdd: Path) -> None:
    content = frames()
    categories = ["other vehicle", "other person", "trailer", "car"]
    for label, category in zip(content[0]["labels"], categories, strict=True):
        label["category"] = category
    write_json(bdd / "labels" / "det_20" / "det_train.json", content)
    source = open_source(spec(bdd))
    sample = next(source[i] for i in range(len(source)) if source[i].name == NAME)
    assert [source.class_set.names[i] for i in sample.labels] == ["car"]
    assert [source.class_set.names[i] for i in sample.ignored_labels] == ["car", "person", "truck"]
    np.testing.assert_array_equal(sample.ignored, [[1.5, 2.5, 8, 9]] * 3)


def test_a_crowd_is_ignored_for_its_class(bdd: Path) -> None:
    content = frames()
    content[0]["labels"][1]["attributes"] = {"crowd": True}
    content[0]["labels"][3]["attributes"] = {"crowd": False}
    write_json(bdd / "labels" / "det_20" / "det_train.json", content)
    source = open_source(spec(bdd, mask="drivable"))
    names = source.class_set.names
    assert [names[i] for i in source[0].labels] == ["traffic light", "motorcycle"]
    assert [names[i] for i in source[0].ignored_labels] == ["person", "car"]  # and the "other vehicle"


def test_a_box_side_that_is_no_number_is_refused(bdd: Path) -> None:
    content = frames()
    content[0]["labels"][0]["box2d"] = {"x1": "wide", "y1": 2.5, "x2": 8.0, "y2": 9.0}
    write_json(bdd / "labels" / "det_20" / "det_train.json", content)
    with pytest.raises(TrainingError, match=r"det_train\.json is not in Scalabel's form"):
        open_source(spec(bdd))


def names_of_stripes(bdd: Path, mask: str) -> tuple[list[str], bool]:
    source = open_source(spec(bdd, mask=mask))
    sample = source[0]
    assert sample.has_mask
    names = dict(enumerate(source.class_set.names)) | {255: "void"}
    return [names[i] for i in sample.mask[0, ::4].tolist()], sample.has_boxes


def test_each_kind_of_mask_is_read_in_its_classes(bdd: Path) -> None:
    assert names_of_stripes(bdd, "semantic") == (["road", "bicycle", "traffic light", "void"], True)
    assert names_of_stripes(bdd, "drivable") == (["direct", "alternative", "background", "background"], True)
    # Lower three bits: category; fourth: background; the rest, style and direction, is not used.
    lane = ["single yellow", "road curb", "background", "background"]
    assert names_of_stripes(bdd, "lane") == (lane, True)


def test_boxes_beside_a_drivable_mask_have_ids_of_their_own(bdd: Path) -> None:
    source = open_source(spec(bdd, mask="drivable"))
    assert source[0].labels.tolist() == [3 + 8, 3 + 0, 3 + 6]


def test_old_label_names_are_understood(bdd: Path) -> None:
    content = frames()
    for label, old in zip(content[0]["labels"], ["traffic sign", "person", "bike", "motor"], strict=True):
        label["category"] = old
    content[0]["labels"] += [{"category": "lane", "poly2d": []}, {"category": "drivable area", "poly2d": []}]
    write_json(bdd / "labels" / "det_20" / "det_train.json", content)
    source = open_source(spec(bdd))
    names = [source.class_set.names[i] for i in source[0].labels]
    assert names == ["traffic sign", "person", "bicycle", "motorcycle"]


def test_the_test_split_has_pictures_alone(bdd: Path) -> None:
    write_rgb(bdd / "images" / "100k" / "test" / "x.jpg", picture())
    sample = open_source(spec(bdd, split="test", mask="drivable"))[0]
    assert (sample.has_mask, sample.has_boxes) == (False, False)


def test_what_is_missing_or_unknown_is_named(bdd: Path) -> None:
    content = frames()
    content[0]["labels"][0]["category"] = "trafic light"
    boxes = write_json(bdd / "labels" / "det_20" / "det_train.json", content)
    with pytest.raises(
        TrainingError, match=r"det_train\.json: unknown category 'trafic light' \(did you mean 'tra"
    ):
        open_source(spec(bdd))
    write_json(boxes, [{"name": "a.jpg", "labels": [{"category": "car"}]}])
    with pytest.raises(TrainingError, match=r"not in Scalabel's form \(KeyError: 'box2d'\)"):
        open_source(spec(bdd))
    boxes.unlink()
    with pytest.raises(TrainingError, match=r"det_train\.json is missing: set 'mask'"):
        open_source(spec(bdd))
    assert open_source(spec(bdd, mask="drivable"))[0].has_boxes is False
    write_ids(bdd / "labels" / "drivable" / "masks" / "train" / f"{NAME}.png", blocks(0, 5))
    with pytest.raises(TrainingError, match=r"holds class id 5: is it a drivable mask\?"):
        open_source(spec(bdd, mask="drivable"))[0]
    (bdd / "labels" / "lane" / "masks" / "train" / f"{NAME}.png").unlink()
    with pytest.raises(TrainingError, match=r"has no mask: expected .*labels/lane/masks/train"):
        open_source(spec(bdd, mask="lane"))
