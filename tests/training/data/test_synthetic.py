"""The renderer's promises: same bytes for a seed, exact masks and boxes, true perspective, its folder."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.support.refusal import refusal
from training.cli import app
from training.data.synthetic import NAMES, WEATHERS, DriveSettings, Frame, SyntheticError, render_drive
from training.data.synthetic.bodies import BODIES
from training.data.synthetic.boxes import boxes_from_ids
from training.data.synthetic.camera import Camera, cut_near
from training.data.synthetic.canvas import Canvas
from training.data.synthetic.classes import CAR, PEDESTRIAN, THINGS
from training.data.synthetic.light import make_light
from training.data.synthetic.people import draw_pedestrian, make_look
from training.data.synthetic.vehicles import Vehicle

FOCAL, HORIZON, MOUNT = 600.0, 200.0, 1.4


def blank_canvas() -> Canvas:
    camera = Camera(800, 600, FOCAL, 400.0, HORIZON, MOUNT)
    return Canvas(camera, make_light("overcast", np.random.default_rng(0)))


@pytest.fixture(scope="module")
def stills() -> list[Frame]:
    return list(render_drive(DriveSettings(frames=24, scenes=24, seed=5)))


@pytest.fixture(scope="module")
def drive() -> list[Frame]:
    return list(render_drive(DriveSettings(frames=75, seed=3, width=640, height=480)))


def test_the_same_settings_give_the_same_bytes() -> None:
    settings = DriveSettings(frames=6, scenes=3, seed=11, width=320, height=240)
    for a, b in zip(render_drive(settings), render_drive(settings), strict=True):
        assert a.image.tobytes() == b.image.tobytes()
        assert a.mask.tobytes() == b.mask.tobytes()
        assert a.boxes == b.boxes


def test_another_seed_gives_another_street() -> None:
    one, two = (next(iter(render_drive(DriveSettings(frames=1, seed=seed)))) for seed in (1, 2))
    assert np.mean(one.mask != two.mask) > 0.1


def test_frames_have_the_asked_size_and_only_valid_labels(stills: list[Frame]) -> None:
    for frame in stills:
        assert frame.image.shape == (480, 640, 3)
        assert frame.image.dtype == np.uint8
        assert frame.mask.shape == (480, 640)
        assert frame.mask.dtype == np.uint8
        assert frame.mask.max() <= 11


def test_every_class_appears_in_a_five_second_drive(drive: list[Frame]) -> None:
    seen = set(np.unique(np.stack([frame.mask for frame in drive])))
    missing = [name for label, name in enumerate(NAMES) if label not in seen]
    assert not missing


def test_a_set_of_stills_has_about_the_balance_of_a_real_street(stills: list[Frame]) -> None:
    share = np.bincount(np.concatenate([f.mask.ravel() for f in stills]), minlength=12) / (24 * 480 * 640)
    assert 0.2 < share[NAMES.index("road")] < 0.5
    assert 0.05 < share[NAMES.index("building")] < 0.4
    for name in NAMES:
        assert share[NAMES.index(name)] > 0.001, name


def test_a_box_of_an_isolated_thing_is_that_of_its_connected_component(stills: list[Frame]) -> None:
    compared = 0
    for frame in stills:
        for label in THINGS:
            count, _, stats, _ = cv2.connectedComponentsWithStats((frame.mask == label).astype(np.uint8))
            parts = [tuple(int(v) for v in stats[k]) for k in range(1, count)]
            boxes = [(b.x, b.y, b.width, b.height, b.area) for b in frame.boxes if b.label == label]
            for part in parts:
                mine = [box for box in boxes if overlap(box, part)]
                if len(mine) == 1 and sum(overlap(mine[0], other) for other in parts) == 1:
                    rivals = [box for box in boxes if box is not mine[0] and overlap(box, mine[0])]
                    # A thing too small for a box of its own may touch this one: its pixels are extra.
                    if not rivals and part[4] == mine[0][4]:
                        assert mine[0] == part
                        compared += 1
    assert compared >= 40


def overlap(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def test_box_areas_add_up_to_no_more_than_the_mask(stills: list[Frame]) -> None:
    for frame in stills:
        for label in THINGS:
            boxed = sum(box.area for box in frame.boxes if box.label == label)
            visible = int((frame.mask == label).sum())
            assert visible * 0.5 - 400 <= boxed <= visible


def test_boxes_count_visible_pixels_and_leave_out_fewer_than_forty() -> None:
    ids = np.zeros((50, 60), np.uint16)
    ids[10:20, 5:15] = CAR | (7 << 4)
    ids[12:14, 8:10] = 2
    ids[30:33, 30:43] = PEDESTRIAN | (8 << 4)
    (box,) = boxes_from_ids(ids)
    assert (box.label, box.x, box.y, box.width, box.height, box.area) == (CAR, 5, 10, 10, 10, 96)


@pytest.mark.parametrize("distance", [6.0, 12.0, 24.0])
def test_a_pedestrian_is_as_tall_as_focal_length_times_height_over_distance(distance: float) -> None:
    canvas, look = blank_canvas(), make_look(np.random.default_rng(1))
    draw_pedestrian(canvas, look, 1, 0.0, distance, 1.57, 0.0)
    rows = np.nonzero((canvas.ids & 15) == PEDESTRIAN)[0]
    assert np.ptp(rows) + 1 == pytest.approx(FOCAL * look.height / distance, rel=0.05, abs=2)
    assert rows.max() == pytest.approx(HORIZON + FOCAL * MOUNT / distance, rel=0.03, abs=2)


@pytest.mark.parametrize("distance", [10.0, 20.0, 40.0])
def test_a_car_ahead_is_as_wide_as_focal_length_times_width_over_distance(distance: float) -> None:
    canvas, body = blank_canvas(), BODIES["estate"]
    Vehicle(body, (90, 90, 90)).draw(canvas, 3, 0.0, distance + body.length / 2, 0.0)
    columns = np.nonzero((canvas.ids & 15) == CAR)[1]
    assert np.ptp(columns) + 1 == pytest.approx(FOCAL * body.width / distance, rel=0.03, abs=2)


def test_things_grow_as_the_camera_comes_nearer() -> None:
    areas = []
    for distance in (40.0, 30.0, 20.0, 12.0, 8.0):
        canvas = blank_canvas()
        Vehicle(BODIES["hatchback"], (90, 90, 90)).draw(canvas, 3, 2.0, distance, 0.0)
        areas.append(int((canvas.ids > 15).sum()))
    assert areas == sorted(areas)
    assert areas[-1] > 8 * areas[0]


def test_a_polygon_through_the_camera_is_cut_at_the_near_plane() -> None:
    cut = cut_near([(0.0, 0.0, -2.0), (0.0, 1.0, -2.0), (0.0, 1.0, 2.0), (0.0, 0.0, 2.0)], near=0.5)
    assert sorted({p[2] for p in cut}) == [0.5, 2.0]
    assert cut_near([(0.0, 0.0, -2.0), (0.0, 1.0, -2.0), (1.0, 1.0, -1.0)]) == []


def test_a_drive_changes_little_from_frame_to_frame_and_much_over_seconds(drive: list[Frame]) -> None:
    steps = [np.mean(a.mask != b.mask) for a, b in itertools.pairwise(drive)]
    assert np.median(steps) < 0.08
    assert np.mean(drive[0].mask != drive[-1].mask) > 2 * np.median(steps)


@pytest.mark.parametrize("weather", WEATHERS)
def test_weather_can_be_chosen(weather: str) -> None:
    settings = DriveSettings(frames=2, scenes=2, weather=weather, width=320, height=240)
    assert {frame.weather for frame in render_drive(settings)} == {weather}


def test_dusk_is_darker_than_day() -> None:
    def brightness(weather: str) -> float:
        frames = render_drive(DriveSettings(frames=6, scenes=6, weather=weather, width=320, height=240))
        return float(np.mean([frame.image.mean() for frame in frames]))

    assert brightness("dusk") < 0.75 * brightness("clear")


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 0},
        {"frames": 2, "scenes": 3},
        {"width": 9},
        {"rate_hz": 0},
        {"seed": -1},
        {"weather": "hail"},
    ],
)
def test_settings_out_of_range_are_refused_with_the_range(wrong: dict[str, int]) -> None:
    with pytest.raises(SyntheticError, match=r"choose|ask|must be"):
        DriveSettings(**wrong)  # type: ignore[arg-type]


def test_the_command_writes_a_folder_that_reads_back(tmp_path: Path) -> None:
    out = tmp_path / "drive"
    options = ["--frames", "5", "--scenes", "2", "--size", "320x240", "--rate", "10"]
    assert CliRunner().invoke(app, ["synthetic", "--out", str(out), *options]).exit_code == 0
    boxes = json.loads((out / "boxes.json").read_text())
    classes = json.loads((out / "classes.json").read_text())
    assert [entry["name"] for entry in classes["classes"]] == list(NAMES)
    assert classes["void_id"] == 11
    assert {entry["id"] for entry in boxes["categories"]} == set(THINGS)
    assert len(boxes["images"]) == 5
    names = [entry["file_name"] for entry in boxes["images"]]
    assert names == sorted(path.name for path in (out / "images").iterdir())
    rendered = list(render_drive(DriveSettings(5, 0, 320, 240, 10.0, scenes=2)))
    for entry, frame in zip(boxes["images"], rendered, strict=True):
        picture = cv2.imread(str(out / "images" / entry["file_name"]))
        file = (out / "labels" / entry["file_name"]).with_suffix(".png")
        label = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        assert np.abs(picture.astype(int) - frame.image).mean() < 4
        assert np.array_equal(label, frame.mask)
        mine = [a for a in boxes["annotations"] if a["image_id"] == entry["id"]]
        assert [a["bbox"] for a in mine] == [[b.x, b.y, b.width, b.height] for b in frame.boxes]


def test_the_command_does_not_write_into_a_folder_in_use(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    assert "not an empty folder" in refusal("synthetic", "--out", tmp_path, "--frames", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_the_renderer_needs_neither_torch_nor_ros(tmp_path: Path) -> None:
    code = "import sys; sys.modules.update(torch=None, rclpy=None); from training.cli import main; main()"
    line = [sys.executable, "-c", code, "synthetic", "--out", str(tmp_path / "drive"), "--frames", "1"]
    subprocess.run(line, check=True, cwd=Path(__file__).parents[3], timeout=60)
