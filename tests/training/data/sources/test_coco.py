"""COCO-format sets: COCO's own layout, and one's own classes."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_mask

from tests.training.data.sources.files import picture, write_json, write_rgb
from training.data.class_sets import class_set
from training.data.source_spec import CocoSpec
from training.data.sources import open_source
from training.data.sources.base import Mapped
from training.errors import TrainingError, TrainingWarning

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


def test_boxes_are_read_crowds_are_ignored_and_empty_ones_left_out_and_told(coco: Path) -> None:
    told = r"json: 1 of its boxes are left out, first annotation 2 of .*\.jpg: its bbox \[4, 4, 2, 0\] has no"
    with pytest.warns(TrainingWarning, match=told):
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


def test_what_a_file_of_one_class_does_not_list_may_be_anywhere(coco: Path) -> None:
    file = coco / "annotations" / "instances_train2017.json"
    car = [item for item in annotations()["annotations"] if item["category_id"] == 3]
    write_json(file, annotations(annotations=car, categories=[{"id": 3, "name": "car"}]))
    camvid = class_set("camvid")
    mapped = Mapped(open_source(spec(coco)), camvid, {})
    assert mapped.without_boxes == ("pedestrian", "bicyclist")
    regions = dict(zip(mapped[0].ignored_labels, mapped[0].ignored, strict=True))
    for name in mapped.without_boxes:
        assert regions[camvid.id_of(name)].tolist() == [0, 0, 16, 12]
    without_person = annotations(
        annotations=car, categories=[{"id": 3, "name": "car"}, {"id": 1, "name": "person"}]
    )
    write_json(file, without_person)  # nobody is there, and the file says so
    assert Mapped(open_source(spec(coco)), camvid, {}).without_boxes == ("bicyclist",)


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


def test_boxes_of_no_numbers_and_outside_their_picture_are_left_out_too(coco: Path) -> None:
    good, _, crowd = annotations()["annotations"]
    boxes = ([math.nan, 2, 3, 4], [0, 0, math.inf, 4], [16, 2, 3, 4])
    bad = [{**item, "bbox": box} for box in boxes for item in (good, crowd)]
    file = coco / "annotations" / "instances_train2017.json"
    write_json(file, annotations(annotations=[good, crowd, *bad]))
    with pytest.warns(TrainingWarning, match="6 of its boxes"):
        sample = open_source(spec(coco))[0]
    np.testing.assert_array_equal(sample.boxes, [[1.5, 2, 4.75, 6]])
    np.testing.assert_array_equal(sample.ignored, [[0, 0, 9, 9]])


OWN = """classes:
- {id: 0, name: road, color: [128, 64, 128], kind: stuff}
- {id: 1, name: car, color: [0, 0, 142], kind: thing}
- {id: 2, name: sign, color: [220, 220, 0], kind: thing}
void_id: 255
"""


def outlined(root: Path, outlines: dict[str, Any], **changes: Any) -> CocoSpec:
    """A 16x12 picture with outlines of road, car and sign, as labelling tools export them."""
    names = ["road", "car", "sign"]
    things = [
        {"image_id": 9, "category_id": names.index(name), "bbox": [1, 2, 3, 4], "segmentation": outline}
        for name, outline in outlines.items()
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    file = root / "annotations" / "instances_train2017.json"
    write_json(file, annotations(annotations=things, categories=categories))
    (root / "own.yaml").write_text(OWN)
    return spec(root, class_set=str(root / "own.yaml"), masks=True, **changes)


def test_outlines_become_masks_with_small_things_on_top_of_large_ones(coco: Path) -> None:
    # The car: x 2..5, y 1..3. The sign: run lengths go down the columns, 12 * 3 + 4 pixels, then 2 of x 3.
    car, sign = [[2, 1, 6, 1, 6, 4, 2, 4]], {"size": [12, 16], "counts": [40, 2, 150]}
    road = [[0, 0, 8, 0, 8, 6, 0, 6], [10, 8, 12, 8, 12, 10, 10, 10]]
    expected = np.full((12, 16), 255)
    expected[0:6, 0:8] = expected[8:10, 10:12] = 0
    expected[1:4, 2:6] = 1
    expected[4:6, 3] = 2
    sample = open_source(outlined(coco, {"sign": sign, "car": car, "road": road}))[0]
    assert (sample.has_mask, sample.has_boxes) == (True, True)
    np.testing.assert_array_equal(sample.mask, expected)
    assert sorted(sample.labels) == [1, 2], "road is no thing, so its box is none"


def test_what_no_outline_covers_is_void_or_the_class_that_the_recipe_says(coco: Path) -> None:
    car = {"car": [[2, 1, 6, 1, 6, 4, 2, 4]]}
    plain, filled = open_source(outlined(coco, car)), open_source(outlined(coco, car, rest="road"))
    assert set(np.unique(plain[0].mask)) == {1, 255}
    assert set(np.unique(filled[0].mask)) == {0, 1}
    assert plain.key(0) != filled.key(0)
    with pytest.raises(TrainingError, match=r"has no class 'rode' \(did you mean 'road'\?\)"):
        open_source(outlined(coco, car, rest="rode"))


def test_compressed_run_lengths_are_those_of_cocos_own_tools(coco: Path) -> None:
    mask = np.zeros((12, 16), np.uint8)
    mask[3:9, 5:14] = 1
    code = coco_mask.encode(np.asfortranarray(mask))
    car = {"size": [12, 16], "counts": code["counts"].decode()}
    found = open_source(outlined(coco, {"car": car}))[0].mask
    np.testing.assert_array_equal(found == 1, mask == 1)


@pytest.mark.parametrize(
    ("outline", "words"),
    [
        ([], "an annotation has a box and no outline"),
        ([[1, 2, 3, 4]], "a polygon has 4 coordinates"),
        ([[1, 2, 3, 4, 5, 6, 7]], "a polygon has 7 coordinates"),
        ([[0, 0, 1e9, 0, 1e9, 5]], "far outside the picture"),
        ([["a", "b", "c", "d", "e", "f"]], "neither polygons .* nor a run-length code"),
        ({"size": [12, 16]}, "KeyError: 'counts'"),
        ({"size": [12, 16], "counts": [3, 2]}, "neither polygons .* nor a run-length code"),
        ({"size": [12, 16], "counts": "zzz"}, "neither polygons .* nor a run-length code"),
        ({"size": [16, 12], "counts": [40, 2, 150]}, r"it is of \[16, 12\], .* the picture of \[12, 16\]"),
        ({"size": [200000, 200000], "counts": [40000000000]}, r"it is of \[200000, 200000\]"),
        (7, "neither polygons .* nor a run-length code"),
    ],
)
def test_an_outline_that_is_none_is_named(coco: Path, outline: Any, words: str) -> None:
    source = open_source(outlined(coco, {"car": outline}))
    with pytest.raises(TrainingError, match=rf"instances_train2017\.json, {FILE}: .*{words}"):
        source[0]
