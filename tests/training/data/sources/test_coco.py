"""COCO-format sets: COCO's own layout, and one's own classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.data.sources.files import picture, write_json, write_rgb
from training.data.source_spec import CocoSpec
from training.data.sources import open_source
from training.errors import TrainingError

FILE = "000000000009.jpg"


def annotations(**changes: Any) -> dict[str, Any]:
    return {
        "info": {"year": 2017},
        "licenses": [],
        "images": [{"id": 9, "file_name": FILE, "height": 12, "width": 16, "license": 3}],
        "annotations": [
            {
                "id": 1,
                "image_id": 9,
                "category_id": 90,
                "bbox": [1.5, 2.0, 3.25, 4.0],
                "area": 13.0,
                "iscrowd": 0,
            },
            {"id": 2, "image_id": 9, "category_id": 3, "bbox": [4, 4, 2, 0], "area": 0, "iscrowd": 0},
            {"id": 3, "image_id": 9, "category_id": 3, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 1},
        ],
        "categories": [
            {"id": 3, "name": "car", "supercategory": "vehicle"},
            {"id": 90, "name": "toothbrush", "supercategory": "indoor"},
        ],
        **changes,
    }


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    write_rgb(tmp_path / "train2017" / FILE, picture())
    write_json(tmp_path / "annotations" / "instances_train2017.json", annotations())
    return tmp_path


def spec(root: Path, **changes: Any) -> CocoSpec:
    file = root / "annotations" / "instances_train2017.json"
    return CocoSpec(name="c", path=root / "train2017", annotations=file, **changes)


def test_boxes_are_read_crowds_are_ignored_and_empty_ones_left_out(coco: Path) -> None:
    source = open_source(spec(coco))
    sample = source[0]
    assert (len(source), sample.name) == (1, "000000000009")
    np.testing.assert_array_equal(sample.boxes, [[1.5, 2, 4.75, 6]])
    assert [source.class_set.names[i] for i in sample.labels] == ["toothbrush"]
    assert (sample.has_mask, sample.has_boxes) == (False, True)
    np.testing.assert_array_equal(sample.ignored, [[0, 0, 9, 9]])
    assert len(sample.ignored_labels) == 1


def test_categories_are_known_by_name_in_any_class_set(coco: Path, tmp_path: Path) -> None:
    categories = [{"id": 3, "name": "Van"}, {"id": 90, "name": "Tram"}]
    write_json(coco / "annotations" / "instances_train2017.json", annotations(categories=categories))
    source = open_source(spec(coco, class_set="kitti"))
    assert [source.class_set.names[i] for i in source[0].labels] == ["Tram"]
    with pytest.raises(
        TrainingError, match=r"instances_train2017\.json: class set 'coco' has no class 'Tram'"
    ):
        open_source(spec(coco))


def test_categories_without_boxes_need_not_be_known(coco: Path) -> None:
    listed = {3: "car", 5: "spaceship", 90: "train"}
    categories = [{"id": number, "name": name} for number, name in listed.items()]
    write_json(coco / "annotations" / "instances_train2017.json", annotations(categories=categories))
    source = open_source(spec(coco))
    assert [source.class_set.names[i] for i in source[0].labels] == ["train"]


def test_missing_pictures_and_sizes_that_differ_are_named(coco: Path) -> None:
    (coco / "train2017" / FILE).unlink()
    with pytest.raises(TrainingError, match=rf"json names {FILE}, which is not in .*train2017"):
        open_source(spec(coco))
    write_rgb(coco / "train2017" / FILE, picture(0, 20, 20))
    with pytest.raises(TrainingError, match=r"is 16x12, but .* is 20x20: its boxes would not fit"):
        open_source(spec(coco))[0]
    file = coco / "annotations" / "instances_train2017.json"
    write_json(file, annotations(images=[], annotations=[]))
    with pytest.raises(TrainingError, match="lists no pictures"):
        open_source(spec(coco))
    file.write_text("{")
    with pytest.raises(TrainingError, match=r"instances_train2017\.json is not JSON"):
        open_source(spec(coco))
