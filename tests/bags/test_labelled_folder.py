"""The labelled folder: what is read, and what is refused in which words."""

import json
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from distill_perception.bags.labelled_folder import read_labelled_folder
from distill_perception.errors import BagError
from tests.support import drives
from tests.support.pictures import palette_png, turned_by_exif


def test_frames_come_in_the_order_of_their_names_with_label_and_boxes(drive: Path) -> None:
    folder = read_labelled_folder(drive)

    frames = list(folder.frames())

    assert [frame.name for frame in frames] == [f"frame_{index:03d}" for index in range(drives.FRAMES)]
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.pixels, drives.picture(index))
        np.testing.assert_array_equal(frame.label, drives.label(index))
        assert frame.boxes is not None
        corners = [[x, y, x + w, y + h] for (x, y, w, h), _ in drives.boxes(index)]
        np.testing.assert_array_equal(frame.boxes.xyxy, corners)
        assert frame.boxes.labels.tolist() == [class_id for _, class_id in drives.boxes(index)]


@pytest.mark.parametrize(
    "content",
    [
        ["red", "green"],
        [{"id": 0, "name": "red", "color": [255, 0, 0]}, {"id": 1, "name": "green"}],
        {"classes": ["red", "green"], "void_id": 2},
        {"classes": {"0": "red", "1": "green"}},
    ],
)
def test_class_names_are_read_from_every_form_of_the_file(content: object, tmp_path: Path) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=1, names=False)
    (folder / "classes.json").write_text(json.dumps(content))

    assert read_labelled_folder(folder).class_names == {0: "red", 1: "green"}


def test_a_frame_without_a_label_file_is_a_frame_without_label(tmp_path: Path) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=2)
    (folder / "labels" / "frame_001.png").unlink()

    first, second = read_labelled_folder(folder).frames()

    assert first.label is not None
    assert second.label is None


def test_frames_follow_one_another_as_their_numbers_do(tmp_path: Path) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=3, labelled=False)
    images = sorted((folder / "images").iterdir())
    for image, name in zip(images, ["f10.png", "f9.png", "e2.png"], strict=True):
        image.rename(image.with_name(name))

    assert [frame.name for frame in read_labelled_folder(folder).frames()] == ["e2", "f9", "f10"]


def test_labels_may_be_called_png_in_capitals(tmp_path: Path) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=1)
    (folder / "labels" / "frame_000.png").rename(folder / "labels" / "frame_000.PNG")

    (frame,) = read_labelled_folder(folder).frames()

    np.testing.assert_array_equal(frame.label, drives.label(0))


def test_labels_of_no_image_are_told(tmp_path: Path) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=2)
    (folder / "images" / "frame_000.png").rename(folder / "images" / "frame_7.png")
    (folder / "boxes.json").unlink()
    words = ["-m", "distill_perception.cli", "bag", folder, tmp_path / "bag"]

    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0
    assert f"warning: {folder / 'labels'}: 1 of 2 labels have no image of their name" in done.stderr
    assert "first frame_000.png" in done.stderr


def test_crowds_are_regions_to_ignore(tmp_path: Path) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=1)
    content = json.loads((folder / "boxes.json").read_text())
    content["annotations"][0]["iscrowd"] = 1
    (folder / "boxes.json").write_text(json.dumps(content))

    (frame,) = read_labelled_folder(folder).frames()

    assert frame.boxes is not None
    ((x, y, w, h), class_id), *others = drives.boxes(0)
    np.testing.assert_array_equal(frame.boxes.ignored, [[x, y, x + w, y + h]])
    assert frame.boxes.ignored_labels.tolist() == [class_id]
    assert frame.boxes.labels.tolist() == [label for _, label in others]


def test_a_picture_stays_as_its_label_is_whatever_exif_says(tmp_path: Path) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=1)
    jpeg = cv2.imencode(".jpg", drives.picture(0))[1]
    expected = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    (folder / "images" / "frame_000.png").unlink()
    (folder / "images" / "frame_000.jpg").write_bytes(turned_by_exif(jpeg.tobytes(), 3))

    (frame,) = read_labelled_folder(folder).frames()

    np.testing.assert_array_equal(frame.pixels, expected)


@pytest.mark.parametrize("crowd", [0, 1])
@pytest.mark.parametrize(
    ("bbox", "words"),
    [
        ([math.nan, 2, 3, 4], r"bbox \[nan, 2, 3, 4\] is not of finite numbers"),
        ([1, 2, math.inf, 4], r"bbox \[1, 2, inf, 4\] is not of finite numbers"),
        ([1, 2, -3, 4], r"bbox \[1, 2, -3, 4\] has no width or height"),
        ([1, 2, 3, 0], r"bbox \[1, 2, 3, 0\] has no width or height"),
        ([64, 2, 3, 4], r"bbox \[64, 2, 3, 4\] lies wholly outside its 64x48 image"),
        ([1, -9, 3, 9], r"bbox \[1, -9, 3, 9\] lies wholly outside its 64x48 image"),
    ],
)
def test_a_box_that_is_none_is_named(bbox: list[float], words: str, crowd: int, tmp_path: Path) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=2)
    content = json.loads((folder / "boxes.json").read_text())
    content["annotations"][4] |= {"bbox": bbox, "iscrowd": crowd}
    (folder / "boxes.json").write_text(json.dumps(content))

    with pytest.raises(BagError, match=rf"boxes\.json: annotation 5 of frame_001\.png: its {words}"):
        read_labelled_folder(folder)


def broken(folder: Path, what: str) -> None:
    """Break a good folder in one way."""
    if what == "no images folder":
        (folder / "images").rename(folder / "pictures")
    elif what == "no pictures":
        for file in (folder / "images").iterdir():
            file.unlink()
    elif what == "labels of other names":
        for file in (folder / "labels").iterdir():
            file.rename(file.with_name("other_" + file.name))
    elif what == "labels that are no PNG":
        for file in (folder / "labels").iterdir():
            file.rename(file.with_suffix(".bmp"))
    elif what == "two labels of one name":
        (folder / "labels" / "frame_000.PNG").write_bytes(b"")
    elif what == "cut off picture":
        file = folder / "images" / "frame_000.png"
        file.write_bytes(file.read_bytes()[:20])
    elif what == "empty picture":
        (folder / "images" / "frame_000.png").write_bytes(b"")
    elif what == "small label":
        cv2.imwrite(str(folder / "labels" / "frame_000.png"), np.zeros((4, 4), np.uint8))
    elif what == "colour label":
        cv2.imwrite(str(folder / "labels" / "frame_000.png"), drives.picture(0))
    elif what == "palette label":
        (folder / "labels" / "frame_000.png").write_bytes(palette_png(drives.label(0)))
    elif what == "boxes not JSON":
        (folder / "boxes.json").write_text("{")
    elif what == "boxes not COCO":
        (folder / "boxes.json").write_text('{"images": []}')
    elif what in ("negative category id", "large category id"):
        content = json.loads((folder / "boxes.json").read_text())
        content["annotations"][0]["category_id"] = -1 if what == "negative category id" else 10**20
        (folder / "boxes.json").write_text(json.dumps(content))
    elif what == "classes without names":
        (folder / "classes.json").write_text('[{"id": 0}]')
    elif what == "negative class id":
        (folder / "classes.json").write_text('[{"id": -1, "name": "x"}]')
    elif what == "large class id":
        (folder / "classes.json").write_text('{"classes": {"65536": "x"}}')
    elif what == "class name that is a number":
        (folder / "classes.json").write_text('[{"id": 0, "name": 5}]')


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("no images folder", "no 'images' folder"),
        ("no pictures", "no .jpg or .png"),
        ("labels of other names", "none of its 2 labels has an image of the same name"),
        (
            "labels that are no PNG",
            "labels are PNG files .* none of its 2 files is one .first frame_000.bmp.",
        ),
        ("two labels of one name", "two labels share a name"),
        ("cut off picture", "cannot be decoded"),
        ("empty picture", "cannot be decoded"),
        ("small label", "label is 4x4, its image 64x48"),
        ("colour label", "one channel of class ids"),
        ("palette label", "with a palette, as VOC and CVAT write, .*save its indices as grey, with Pillow"),
        ("boxes not JSON", "not valid JSON"),
        ("boxes not COCO", "not a COCO file"),
        ("negative category id", "category_id -1 is no class id; ids are 0 to 65535"),
        ("large category id", "category_id 1000"),
        ("classes without names", "expected a list of names"),
        ("negative class id", "class id -1 is named 'x'; ids are 0 to 65535"),
        ("large class id", "class id 65536"),
        ("class name that is a number", "class id 0 is named 5; .*names are text"),
    ],
)
def test_a_broken_folder_is_refused_with_the_file_and_the_reason(
    what: str, words: str, tmp_path: Path
) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=2)
    broken(folder, what)

    with pytest.raises(BagError, match=words) as caught:
        list(read_labelled_folder(folder).frames())

    assert str(tmp_path) in str(caught.value)
