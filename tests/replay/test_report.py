"""The report's parts by themselves."""

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest

from distill_perception.bags.reader import BagFrame
from distill_perception.bags.recorded_image import RecordedImage
from distill_perception.bundle import ClassInfo, load_bundle
from distill_perception.perceptor import Detection
from distill_perception.replay.evaluation import CameraScores, Evaluation, ScoredFrame
from distill_perception.replay.examples import Example, Examples
from distill_perception.replay.recording import FrameResult
from distill_perception.replay.report import charts
from distill_perception.replay.report.page import page
from distill_perception.replay.report.pictures import data_uri, figure
from distill_perception.replay.report.svg import nice_ticks
from distill_perception.replay.run_info import RunInfo
from tests.support.tiny_bundle import CLASSES, write_tiny_bundle

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """The words of a drawing; fails if it is not well-formed XML."""
    return [item.text or "" for item in ET.fromstring(svg).iter(f"{SVG}text")]


def drawn(svg: str, shape: str, kind: str) -> list[ET.Element]:
    """The shapes of a class, in the order in which they are drawn."""
    return [item for item in ET.fromstring(svg).iter(f"{SVG}{shape}") if item.get("class") == kind]


def numbers(items: list[ET.Element], name: str) -> list[float]:
    return [float(item.get(name, "nan")) for item in items]


def test_bars_are_as_long_as_their_values() -> None:
    root = ET.fromstring(charts.class_bars(CLASSES, {"red": 0.5, "green": 1.0}, 0.75, "IoU"))

    tracks = [float(item.get("width", 0)) for item in root.iter(f"{SVG}rect") if item.get("class") == "track"]
    bars = [float(item.get("width", 0)) for item in root.iter(f"{SVG}rect") if item.get("class") == "bar"]
    assert bars == pytest.approx([0.5 * tracks[0], tracks[1]])
    assert "does not occur" in [item.text for item in root.iter(f"{SVG}text")]  # blue


def test_bars_have_their_classes_colours_and_the_mean_lies_on_their_scale() -> None:
    bars = charts.class_bars(CLASSES, {"red": 0.5, "green": 1.0}, 0.75, "IoU")

    assert [item.get("fill") for item in drawn(bars, "rect", "bar")] == ["#ff0000", "#00ff00"]
    (mean,) = numbers(drawn(bars, "line", "mean"), "x1")
    assert mean == numbers(drawn(bars, "line", "grid"), "x1")[2]  # of 0.25, 0.5, 0.75, 1


def test_the_confusion_matrix_tells_hits_from_misses() -> None:
    matrix = np.array([[75, 25, 0], [0, 10, 0], [0, 0, 0]])
    hits, misses = (
        [item.findtext(f"{SVG}title") for item in drawn(charts.confusion(CLASSES, matrix), "rect", kind)]
        for kind in ("hit", "miss")
    )

    assert hits[0] == "labelled red, perceived red: 75.0% (75 pixels)"
    assert misses[0] == "labelled red, perceived green: 25.0% (25 pixels)"
    assert (len(hits), len(misses)) == (3, 6)


def test_the_confusion_matrix_shows_percent_of_the_labelled_pixels() -> None:
    matrix = np.array([[75, 25, 0], [0, 10, 0], [0, 0, 0]])

    words = texts(charts.confusion(CLASSES, matrix))

    assert [word for word in words if word.isdigit()] == ["75", "25", "100"]


def test_names_are_escaped() -> None:
    odd = (ClassInfo(id=0, name="<b>&\"'", color=(1, 2, 3), kind="stuff"),)

    assert "<b>&\"'" in texts(charts.class_bars(odd, {"<b>&\"'": 0.5}, None, "IoU"))


def test_every_sample_is_in_the_histogram() -> None:
    samples = np.concatenate([np.full(50, 2.0), np.full(49, 3.0), [90.0]])
    root = ET.fromstring(charts.histogram(samples, 2.5, 3.0))

    hints = [item.findtext(f"{SVG}title") or "" for item in root.iter(f"{SVG}rect")]
    assert sum(int(hint.split(": ")[1].split()[0]) for hint in hints) == 100


def test_the_histogram_marks_median_and_95th_percentile_where_they_lie() -> None:
    svg = charts.histogram(np.concatenate([np.full(50, 2.0), np.full(50, 6.0)]), 4.0, 6.0)

    scale = {item.text: float(item.get("x", "nan")) for item in drawn(svg, "text", "tick")}
    per_ms = (scale["5"] - scale["0"]) / 5
    assert numbers(drawn(svg, "line", "p50"), "x1") == pytest.approx([4 * per_ms], rel=1e-3)
    assert numbers(drawn(svg, "line", "p95"), "x1") == pytest.approx([6 * per_ms], rel=1e-3)
    bars = drawn(svg, "rect", "hist")
    assert len(set(numbers(bars, "height"))) == 1  # as many of each
    assert min(numbers(bars, "y")) >= 0


def test_stages_take_the_share_of_the_bar_that_they_take_of_the_time() -> None:
    svg = charts.stage_shares({"queue": 5.0, "inference": 30.0, "publish": 5.0})

    width = float(ET.fromstring(svg).get("viewBox", "").split()[2])
    stages = [drawn(svg, "rect", f"stage s{index}")[0] for index in range(3)]
    assert numbers(stages, "x") == pytest.approx([0, width / 8, width * 7 / 8], abs=0.1)
    assert stages[1].findtext(f"{SVG}title") == "inference: 30.00 ms of 40.00 ms"
    ends = [x + wide for x, wide in zip(numbers(stages, "x"), numbers(stages, "width"), strict=True)]
    assert ends == pytest.approx([width / 8, width * 7 / 8, width], abs=3)


def frames_of(*rows: tuple[float, float | None, float | None]) -> list[ScoredFrame]:
    """Frames: when sent, in s; answered after ms (None: dropped; 0: it is not known); mean IoU."""
    return [
        ScoredFrame(
            FrameResult(("/cam", index), sent_s, ms is not None, (), {"end_to_end": ms} if ms else {}), miou
        )
        for index, (sent_s, ms, miou) in enumerate(rows)
    ]


def test_over_time_a_slower_frame_is_higher_a_later_one_further_right_and_a_drop_at_its_moment() -> None:
    svg = charts.timeline(frames_of((0.0, 5.0, None), (4.0, None, None), (8.0, 20.0, None), (6.0, 0.0, None)))

    dots = drawn(svg, "circle", "dot")  # of an answer that took no known time there is none
    (left, right), (quick, slow) = numbers(dots, "cx"), numbers(dots, "cy")
    zero, *_, top = numbers(drawn(svg, "line", "grid"), "y1")  # of 0, 10 and 20 ms
    assert slow == pytest.approx(top, abs=0.1)
    assert quick == pytest.approx(zero + (top - zero) / 4, abs=0.1)
    (drop,) = drawn(svg, "rect", "drop")
    assert float(drop.get("x", "nan")) + 1 == pytest.approx((left + right) / 2, abs=0.1)
    assert left < right < float(ET.fromstring(svg).get("viewBox", "").split()[2])


def test_over_time_the_quality_is_that_of_labelled_frames() -> None:
    svg = charts.quality_line(frames_of((0.0, 5.0, 0.5), (1.0, 5.0, None), (2.0, 5.0, 1.0)))

    zero, *_, top = numbers(drawn(svg, "line", "grid"), "y1")
    assert numbers(drawn(svg, "circle", "dot"), "cy") == pytest.approx([(zero + top) / 2, top], abs=0.1)


def test_the_timeline_marks_drops_and_takes_any_length() -> None:
    def frames(count: int) -> Iterator[ScoredFrame]:
        for index in range(count):
            times = {} if index == 1 else {"end_to_end": 5.0 + index}
            yield ScoredFrame(FrameResult(("/cam", index), 0.1 * index, index != 1, (), times), None)

    for count in (0, 1, 2, 500):
        root = ET.fromstring(charts.timeline(list(frames(count))))
        drops = [item for item in root.iter(f"{SVG}rect") if item.get("class") == "drop"]
        assert len(drops) == (count > 1)


@pytest.mark.parametrize(
    ("top", "ticks"), [(0.0, [0, 1]), (17, [0, 5, 10, 15, 20]), (0.3, [0, 0.1, 0.2, 0.3])]
)
def test_ticks_are_round_and_reach_the_top(top: float, ticks: list[float]) -> None:
    assert nice_ticks(top) == pytest.approx(ticks)


def test_pictures_are_embedded_and_made_smaller() -> None:
    picture = np.zeros((720, 1280, 3), np.uint8)
    picture[:, :640] = (0, 0, 255)

    head, data = data_uri(picture).split(",")
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)

    assert head == "data:image/jpeg;base64"
    assert decoded is not None
    assert decoded.shape == (360, 640, 3)
    assert decoded[100, 100, 2] > 240
    assert decoded[100, 500].max() < 10


def visited(scores: list[float | None]) -> Examples:
    examples = Examples(len(scores))
    for index, score in enumerate(scores):
        image = RecordedImage(np.zeros(12, np.uint8), "", encoding="bgr8", height=2, width=2, step=6)
        frame = BagFrame("/cam", index, index, image)
        examples.visit(frame, ScoredFrame(FrameResult(("/cam", index), 0.0, True), score), None)
    return examples


def test_best_and_worst_frames_are_found_and_differ() -> None:
    examples = visited([0.5, 0.9, 0.1, None, 0.7, 0.3, 0.8, 0.2])

    assert [example.index for example in examples.best()] == [1, 6, 4]
    assert [example.index for example in examples.worst()] == [2, 7, 5]


def test_few_frames_are_not_shown_twice() -> None:
    examples = visited([0.5, 0.9, 0.1, 0.7])

    assert [example.index for example in examples.best()] == [1, 3, 0]
    assert [example.index for example in examples.worst()] == [2]


def test_without_scores_frames_are_spread_over_the_drive() -> None:
    examples = visited([None] * 41)

    assert [example.index for example in examples.evenly_spaced()] == [10, 20, 30]
    assert examples.best() == []


def test_unanswered_frames_are_no_examples_and_keep_their_places() -> None:
    examples = Examples(5)
    for index in range(5):
        image = RecordedImage(np.zeros(12, np.uint8), "", encoding="bgr8", height=2, width=2, step=6)
        answer = FrameResult(("/cam", index), 0.0, answered=index in (1, 3, 4))
        examples.visit(BagFrame("/cam", index, index, image), ScoredFrame(answer, None), None)

    shown = examples.evenly_spaced()
    assert [(example.index, example.result.key[1]) for example in shown] == [(1, 1), (3, 3)]


def views(html: str) -> dict[str, np.ndarray]:
    """The pictures of a figure by name, BGR."""
    found = {}
    for name, data in re.findall(r'<img alt="(\w+)" src="data:image/jpeg;base64,([^"]+)">', html):
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        found[name] = picture
    return found


def example(miou: float | None) -> Example:
    """A blue picture, labelled red, perceived green, with a box that is blue."""
    pixels = np.zeros((80, 80, 3), np.uint8)
    pixels[..., 0] = 200
    result = FrameResult(("/cam", 7), 0.0, True, (Detection((20.0, 20.0, 60.0, 60.0), 0.9, 2),))
    return Example(7, "/cam", miou, pixels, np.zeros((80, 80), np.uint8), np.ones((80, 80), np.uint8), result)


def test_an_example_shows_image_label_and_what_was_perceived() -> None:
    seen = views(figure(example(0.0), CLASSES, with_camera=False))

    assert list(seen) == ["image", "label", "prediction"]
    for name, bgr in (("image", (200, 0, 0)), ("label", (100, 0, 128)), ("prediction", (100, 128, 0))):
        np.testing.assert_allclose(seen[name][70, 70], bgr, atol=12)
    edge = {name: picture[40, 19:22].astype(int) for name, picture in seen.items()}
    assert edge["prediction"][:, 0].max() > 170  # the box
    assert edge["label"][:, 0].max() < 130


def test_an_example_tells_its_score_and_among_several_cameras_its_own() -> None:
    assert "frame 7, <b>mean IoU 0.000</b>" in figure(example(0.0), CLASSES, with_camera=False)
    assert "frame 7 of /cam</figcaption>" in figure(example(None), CLASSES, with_camera=True)


INFO = RunInfo(
    "runs/drive/", ("/cam",), "tiny", "1", "0" * 64, "none", "fp32", "own node", 1.0, "1", None, "", ""
)
TIMES = {"p50": 20.0, "p95": 30.0, "p99": 40.0}
MEASURED = Evaluation(
    frames=10,
    answered=8,
    score_threshold=0.01,
    latency_ms={
        "inference": {"p50": 7.0, "p95": 8.0, "p99": 8.5},
        "publish": {"p50": 1.0, "p95": 1.0, "p99": 1.0},
        "total": {"p50": 10.0, "p95": 11.0, "p99": 12.0},
        "end_to_end": TIMES,
    },
    samples_ms={
        "inference": np.array([6.0, 9.0]),
        "publish": np.array([1.0, 1.0]),
        "total": np.array([10.0, 12.0]),
        "end_to_end": np.array([20.0, 41.5]),
    },
    counters={},
    complete=True,
    duration_s=4.0,
    miou=0.0,
    iou={"red": 0.0},
    map50=0.6,
    map=0.4,
    ap={"green": 0.4},
    labelled_masks=5,
    labelled_boxes=5,
)


def told(evaluation: Evaluation, folder: Path, tasks: Sequence[str] = ("segmentation", "detection")) -> str:
    """The words of a report."""
    manifest = load_bundle(write_tiny_bundle(folder, tasks)).manifest
    return " ".join(unescape(re.sub("<[^>]+>", " ", page(manifest, evaluation, INFO, []))).split())


def test_the_verdict_has_the_numbers_in_their_places(tmp_path: Path) -> None:
    words = told(MEASURED, tmp_path / "b")

    assert "Replay of drive 2 frames dropped" in words
    assert "Mean IoU 0.000 1 classes" in words
    assert "mAP50 0.600 mAP 50:95 0.400" in words
    assert "End to end, p95 30.0 ms median 20.0 ms, p99 40.0 ms" in words
    assert "Dropped frames 2 of 10 sent (20.0%)" in words
    assert "Answered 2.0 frames/s 4.0 s of replay" in words


def test_the_average_precision_chart_is_of_things_and_has_their_mean(tmp_path: Path) -> None:
    chart = told(MEASURED, tmp_path / "b").partition("AP by class")[2].partition("Latency by stage")[0]

    assert "mean 0.400" in chart
    assert "as a bundle's own figure" in chart
    assert "blue does not occur" in chart
    assert "red" not in chart.split()  # stuff has no boxes


def test_the_latency_table_ends_with_the_slowest_and_transport_is_what_the_node_did_not_take(
    tmp_path: Path,
) -> None:
    words = told(MEASURED, tmp_path / "b").partition("Latency by stage")[2]

    assert "20.00 30.00 40.00 41.50" in words
    assert "transport: 19.75 ms of 28.25 ms" in words  # 30.75 - 11, of 7.5 + 1 + 19.75


def test_only_a_bundle_with_boxes_is_told_to_publish_faint_ones(tmp_path: Path) -> None:
    note = "replay with -p score_threshold:=0.3"
    assert note in told(MEASURED, tmp_path / "both")
    assert note not in told(MEASURED, tmp_path / "masks", ("segmentation",))


def test_what_ended_early_is_not_called_complete(tmp_path: Path) -> None:
    whole = replace(MEASURED, answered=10)
    assert "complete, nothing dropped" in told(whole, tmp_path / "b")
    words = told(replace(whole, complete=False), tmp_path / "b")
    assert "incomplete: ended before the bag did" in words
    assert "complete, nothing dropped" not in words


def test_each_camera_has_a_row_of_its_own(tmp_path: Path) -> None:
    cameras = {
        "/left<1>": CameraScores(6, 5, 0.25, None, {"p50": 1.0, "p95": 2.0, "p99": 3.0}),
        "/right": CameraScores(4, 0, None, None, None),
    }
    words = told(replace(MEASURED, cameras=cameras), tmp_path / "b")
    assert "/left<1> 6 1 0.250 \u2013 1.0 2.0 3.0 /right 4 4 \u2013 \u2013 \u2013 \u2013 \u2013" in words


def test_a_picture_that_no_jpeg_can_hold_is_made_smaller() -> None:
    data = data_uri(np.zeros((70_000, 100, 3), np.uint8)).split(",")[1]
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)

    assert decoded is not None
    assert decoded.shape == (1280, 2, 3)
