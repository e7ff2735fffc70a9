"""The labelled folder: masks, boxes, both or neither."""

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support.pictures import palette_png, turned_by_exif
from tests.training.data.sources.files import blocks, picture, write_ids, write_json, write_rgb
from training.cli import app
from training.data.cache import DiskCache
from training.data.class_sets import class_set
from training.data.source_spec import FolderSpec, ImagesSpec
from training.data.sources import open_source
from training.data.sources.base import Mapped
from training.errors import TrainingError


def coco(**changes: Any) -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": 12, "width": 16}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 8, "bbox": [2, 3, 5, 6], "area": 30, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 9, "bbox": [10, 8, 9, 9], "area": 81, "iscrowd": 0},
            {"id": 3, "image_id": 7, "category_id": 9, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 1},
        ],
        "categories": [{"id": 8, "name": "car"}, {"id": 9, "name": "pedestrian"}],
        **changes,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate("ab"):
        write_rgb(tmp_path / "images" / f"{name}.png", picture(seed))
        write_ids(tmp_path / "labels" / f"{name}.png", blocks(0, 3, 8, 11))
    write_json(tmp_path / "boxes.json", coco())
    return tmp_path


def spec(path: Path, **changes: Any) -> FolderSpec:
    return FolderSpec(name="f", path=path, **changes)


def test_frames_masks_and_boxes_are_read(folder: Path) -> None:
    source = open_source(spec(folder))
    first, second = source[0], source[1]
    assert (len(source), source.class_set.name, first.name, second.name) == (2, "camvid", "a", "b")
    np.testing.assert_array_equal(first.image, picture(0))
    np.testing.assert_array_equal(first.mask, blocks(0, 3, 8, 11))
    # The second box is cut at the picture's edges; the crowd is no object.
    np.testing.assert_array_equal(first.ignored, [[0, 0, 9, 9]])
    assert first.ignored_labels.tolist() == [9]
    np.testing.assert_array_equal(first.boxes, [[2, 3, 7, 9], [10, 8, 16, 12]])
    assert first.boxes.dtype == np.float32
    assert first.labels.tolist() == [8, 9]
    assert (first.has_mask, first.has_boxes) == (True, True)


def test_boxes_of_frames_that_are_not_listed_are_not_known(folder: Path) -> None:
    second = open_source(spec(folder))[1]
    assert (second.has_mask, second.has_boxes, second.boxes.shape) == (True, False, (0, 4))


def test_things_that_the_categories_leave_out_may_be_anywhere(folder: Path, tmp_path: Path) -> None:
    def mapped() -> Mapped:
        kept = DiskCache(open_source(spec(folder)), tmp_path / "cache")
        kept[0]  # as an earlier run left it
        return Mapped(kept, class_set("camvid"), {})

    partly = mapped()
    assert partly.without_boxes == ("bicyclist",)
    assert (10, [0, 0, 16, 12]) in zip(partly[0].ignored_labels, partly[0].ignored.tolist(), strict=True)
    every = [*coco()["categories"], {"id": 10, "name": "bicyclist"}]
    write_json(folder / "boxes.json", coco(categories=every))
    whole = mapped()  # a category without a box: there is none of it
    assert whole.without_boxes == ()
    assert whole[0].ignored_labels.tolist() == [9]


def test_without_a_labels_folder_there_are_boxes_alone(folder: Path) -> None:
    for label in (folder / "labels").iterdir():
        label.unlink()
    (folder / "labels").rmdir()
    first = open_source(spec(folder))[0]
    assert (first.has_mask, first.has_boxes, set(first.mask.ravel())) == (False, True, {11})


def test_masks_or_boxes_can_be_hidden_and_frames_skipped(folder: Path) -> None:
    hidden = open_source(spec(folder, use_masks=False, use_boxes=False))[0]
    assert (hidden.has_mask, hidden.has_boxes, len(hidden.boxes)) == (False, False, 0)
    assert set(hidden.mask.ravel()) == {11}
    assert len(open_source(spec(folder, every=2))) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": [{"id": 7, "file_name": "c.png"}]},
            r"lists 1 pictures that are not in images/, such as c",
        ),
        (
            {
                "categories": [{"id": 3, "name": "road"}],
                "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [2, 3, 5, 6]}],
            },
            r"class id 3; things of class set 'camvid': 8 car",
        ),
        ({"categories": [{"id": 8, "name": "car"}]}, "category 9, which the file does not list"),
        ({"images": []}, "picture 7, which the file does not list"),
        (
            {"annotations": [{"bbox": [1, 2, 3]}]},
            r"boxes\.json is not a COCO file .*'images' \(id, file_name\)",
        ),
    ],
)
def test_faulty_boxes_files_are_explained(folder: Path, changes: dict[str, Any], message: str) -> None:
    write_json(folder / "boxes.json", coco(**changes))
    with pytest.raises(TrainingError, match=message):
        open_source(spec(folder))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cat", r"category 8 is 'cat', but class 8 of class set 'camvid' is 'car' \(did you mean 'car'\?\)"),
        ("pedestrian", r"category 8 is 'pedestrian', but .* is 'car' \('pedestrian' is 9 there\)"),
    ],
)
def test_categories_of_other_names_are_other_classes(folder: Path, name: str, words: str) -> None:
    write_json(folder / "boxes.json", coco(categories=[{"id": 8, "name": name}, {"id": 9}]))
    with pytest.raises(TrainingError, match=rf"boxes\.json: its {words}: set 'class_set'"):
        open_source(spec(folder))


@pytest.mark.parametrize("crowd", [0, 1])
@pytest.mark.parametrize(
    ("bbox", "words"),
    [
        ([math.nan, 2, 3, 4], "is not of finite numbers"),
        ([1, 2, math.inf, 4], "is not of finite numbers"),
        ([1, 2, -3, 4], "has no width or height"),
        ([1, 2, 3, 0], "has no width or height"),
        ([16, 2, 3, 4], "lies wholly outside its 16x12 image"),
    ],
)
def test_a_box_that_is_none_is_named(folder: Path, bbox: list[float], words: str, crowd: int) -> None:
    good, *_ = coco()["annotations"]
    bad = {**good, "id": 5, "bbox": bbox, "iscrowd": crowd}
    write_json(folder / "boxes.json", coco(annotations=[good, bad]))
    with pytest.raises(TrainingError, match=rf"boxes\.json: annotation 5 of a\.png: its bbox .* {words}: "):
        open_source(spec(folder))


def test_boxes_of_another_picture_size_are_refused(folder: Path) -> None:
    write_json(
        folder / "boxes.json", coco(images=[{"id": 7, "file_name": "a.png", "height": 24, "width": 32}])
    )
    with pytest.raises(TrainingError, match=r"says that a\.png is 32x24, but .*a\.png is 16x12"):
        open_source(spec(folder))[0]


def test_missing_and_faulty_labels_are_named(folder: Path) -> None:
    label = folder / "labels" / "a.png"
    write_ids(label, blocks(0, 77))
    with pytest.raises(TrainingError, match=r"labels/a\.png holds class id 77 \(96 pixels\)"):
        open_source(spec(folder))[0]
    write_ids(label, np.zeros((5, 6), np.uint8))
    with pytest.raises(TrainingError, match=r"a\.png is 6x5 but its picture .*a\.png is 16x12"):
        open_source(spec(folder))[0]
    write_rgb(label, picture())
    with pytest.raises(TrainingError, match="8-bit class ids in one channel"):
        open_source(spec(folder))[0]
    label.write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=r"cannot decode .*a\.png \(10 bytes\)"):
        open_source(spec(folder))[0]
    label.unlink()
    with pytest.raises(TrainingError, match=r"a\.png has no label: expected .*labels/a\.png"):
        open_source(spec(folder))


def test_masks_with_a_palette_are_read_as_its_indices(folder: Path) -> None:
    """As VOC and CVAT write them."""
    ids = blocks(0, 3, 9, 11)
    (folder / "labels" / "a.png").write_bytes(palette_png(ids))
    np.testing.assert_array_equal(open_source(spec(folder))[0].mask, ids)


def test_a_picture_stays_as_its_mask_is_whatever_exif_says(folder: Path) -> None:
    (folder / "images" / "a.png").unlink()
    whole = cv2.imencode(".jpg", np.repeat(blocks(0, 0, 255, 255)[..., None], 3, 2))[1].tobytes()
    (folder / "images" / "a.jpg").write_bytes(turned_by_exif(whole, 3))
    image = open_source(spec(folder))[0].image
    assert image[:, :6].max() < 50
    assert image[:, 10:].min() > 200


def test_an_empty_folder_and_names_that_clash_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere/images is not a folder: expected images/NAME\.jpg"):
        open_source(spec(tmp_path / "nowhere"))
    write_rgb(folder / "images" / "a.jpg", picture())
    with pytest.raises(TrainingError, match=r"a\.jpg and .*a\.png would share one label"):
        open_source(spec(folder))


def test_classes_json_says_whose_ids_they_are(folder: Path) -> None:
    (folder / "boxes.json").unlink()
    classes = [{"id": i, "name": f"class{i}", "color": [i, 0, 0], "kind": "stuff"} for i in range(9)]
    write_json(folder / "classes.json", {"classes": classes, "void_id": 11})
    source = open_source(spec(folder))
    assert source.class_set.names[8] == "class8"
    assert open_source(spec(folder, class_set="camvid")).class_set.name == "camvid"


def test_a_rendered_drive_is_read_with_masks_and_boxes(tmp_path: Path) -> None:
    words = ["synthetic", "--out", str(tmp_path / "drive"), "--frames", "2", "--size", "160x120"]
    assert CliRunner().invoke(app, words).exit_code == 0
    source = open_source(spec(tmp_path / "drive"))
    assert (len(source), source.class_set.name) == (2, "camvid")
    sample = source[0]
    assert (sample.image.shape, sample.has_mask, sample.has_boxes) == ((120, 160, 3), True, True)


def test_pictures_without_labels_are_found_below_too(tmp_path: Path) -> None:
    write_rgb(tmp_path / "x.png", picture(1))
    write_rgb(tmp_path / "day" / "front" / "y.png", picture(2))
    source = open_source(ImagesSpec(name="own", path=tmp_path))
    assert [source[i].name for i in range(2)] == ["day/front/y", "x"]
    np.testing.assert_array_equal(source[1].image, picture(1))
    assert (source[1].has_mask, source[1].has_boxes) == (False, False)
    assert set(source[1].mask.ravel()) == {source.class_set.void_id}
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match=r"no \.jpg, \.jpeg, \.png in .*empty"):
        open_source(ImagesSpec(name="own", path=tmp_path / "empty"))


def test_camvid_as_kept_for_development(camvid_val: Path) -> None:
    source = open_source(spec(camvid_val))
    assert len(source) == 101
    boxes = sum(len(entry.labels) for entry in source.boxes.values())  # type: ignore[attr-defined]
    assert boxes == 167 + 206 + 198  # the data's README
    sample = source[0]
    assert (sample.image.shape, sample.has_boxes) == ((360, 480, 3), True)
    for (x1, y1, x2, y2), label in zip(sample.boxes.astype(int), sample.labels, strict=True):
        assert (sample.mask[y1:y2, x1:x2] == label).any()
