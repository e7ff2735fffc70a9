"""Boxes made of masks."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support.refusal import refusal
from training.cli import app
from training.data.mask_boxes import pieces, write_boxes
from training.data.source_spec import FolderSpec
from training.data.sources import open_source
from training.errors import TrainingError

ROAD, CAR, PEDESTRIAN = 3, 8, 9


def write_mask(folder: Path, mask: np.ndarray) -> Path:
    for name, pixels in (("images", np.zeros((*mask.shape, 3), np.uint8)), ("labels", mask)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name / "a.png"), pixels)
    return folder


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """Two cars, a pedestrian that touches one of them, and a car too small to count."""
    mask = np.full((40, 60), ROAD, np.uint8)
    mask[5:15, 10:30] = CAR
    mask[20:30, 40:52] = CAR
    mask[3:20, 30:34] = PEDESTRIAN
    mask[30:36, 20:26] = CAR
    return write_mask(tmp_path, mask)


def test_each_connected_piece_of_a_thing_has_a_box(street: Path) -> None:
    assert write_boxes(street) == {"car": 2, "pedestrian": 1, "bicyclist": 0}
    sample = open_source(FolderSpec(name="a", path=street))[0]
    assert sample.has_boxes
    assert sample.boxes.tolist() == [[10, 5, 30, 15], [40, 20, 52, 30], [30, 3, 34, 20]]
    assert sample.labels.tolist() == [CAR, CAR, PEDESTRIAN]


def test_smaller_pieces_count_if_asked_for(street: Path) -> None:
    assert write_boxes(street, min_pixels=36)["car"] == 3


def test_slivers_are_left_out() -> None:
    part = np.zeros((40, 40), bool)
    part[5:35, 5:8] = part[5:10, 20:38] = True
    assert pieces(part).tolist() == []
    part[5:35, 8] = part[10, 20:38] = True
    assert pieces(part)[:, 2:].tolist() == [[4, 30, 120], [18, 6, 108]]


def test_pieces_that_touch_at_a_corner_or_across_a_thin_gap_are_one() -> None:
    part = np.zeros((30, 30), bool)
    part[4:10, 4:10] = part[10:16, 10:16] = True  # they meet at a corner
    part[11:21, 18:22] = True  # two columns further on
    assert pieces(part)[:, :4].tolist() == [[4, 4, 18, 17]]
    part[11:21, 18:22] = False
    part[11:21, 19:23] = True  # three columns further on
    assert pieces(part)[:, :4].tolist() == [[4, 4, 12, 12], [19, 11, 4, 10]]


def test_any_class_set_gives_its_things(street: Path) -> None:
    names = [("ground", "stuff"), ("tractor", "thing")]
    classes = [
        {"id": index, "name": name, "color": [index, 0, 0], "kind": kind}
        for index, (name, kind) in enumerate(names)
    ]
    (street / "classes.json").write_text(json.dumps({"classes": classes, "void_id": 255}))
    mask = np.zeros((40, 60), np.uint8)
    mask[5:15, 2:22] = 1
    write_mask(street, mask)
    done = CliRunner().invoke(app, ["boxes", str(street)])
    assert done.exit_code == 0, done.output
    assert done.output.split()[:2] == ["tractor", "1"]
    assert json.loads((street / "boxes.json").read_text())["annotations"][0]["bbox"] == [2, 5, 20, 10]


def test_boxes_that_are_there_and_labels_that_are_not_are_told(street: Path, tmp_path: Path) -> None:
    ground = {"id": 0, "name": "ground", "color": [9, 9, 9], "kind": "stuff"}
    (tmp_path / "stuff.json").write_text(json.dumps({"classes": [ground], "void_id": 1}))
    with pytest.raises(TrainingError, match="has no things"):
        write_boxes(street, class_set=str(tmp_path / "stuff.json"))
    write_boxes(street)
    with pytest.raises(TrainingError, match="is there already: delete it"):
        write_boxes(street)
    (tmp_path / "b" / "images").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "b" / "images" / "a.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(TrainingError, match="has no labels/"):
        write_boxes(tmp_path / "b")


def test_the_class_set_that_is_assumed_is_told(street: Path) -> None:
    done = CliRunner().invoke(app, ["boxes", str(street)])
    assert done.exit_code == 0, done.output
    told = " ".join(done.stderr.split())
    assert (
        f"class set 'camvid' is assumed: {street} has no classes.json, and --class-set is not given" in told
    )
    (street / "boxes.json").unlink()
    done = CliRunner().invoke(app, ["boxes", str(street), "--class-set", "camvid"])
    assert (done.exit_code, done.stderr) == (0, "")


def test_no_file_is_written_without_a_box(tmp_path: Path) -> None:
    folder = write_mask(tmp_path, np.full((40, 60), ROAD, np.uint8))
    told = refusal("boxes", folder)
    assert "no mask has a piece of a thing of class set 'camvid' (car, pedestrian, bicyclist)" in told
    assert "give --class-set or put classes.json beside labels/" in told
    assert not (folder / "boxes.json").exists()


def test_camvids_boxes_are_made_again_exactly(camvid_val: Path, tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).symlink_to(camvid_val / name)
    assert write_boxes(tmp_path) == {"car": 167, "pedestrian": 206, "bicyclist": 198}
    made, used = (json.loads((place / "boxes.json").read_text()) for place in (tmp_path, camvid_val))
    assert made == used
