"""The report's parts by themselves."""

import base64
import xml.etree.ElementTree as ET
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from distill_perception.bags.reader import BagFrame
from distill_perception.bags.recorded_image import RecordedImage
from distill_perception.bundle import ClassInfo
from distill_perception.replay.evaluation import ScoredFrame
from distill_perception.replay.examples import Examples
from distill_perception.replay.recording import FrameResult
from distill_perception.replay.report import charts
from distill_perception.replay.report.pictures import data_uri
from distill_perception.replay.report.svg import nice_ticks
from tests.support.tiny_bundle import CLASSES

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    """The words of a drawing; fails if it is not well-formed XML."""
    return [item.text or "" for item in ET.fromstring(svg).iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_values() -> None:
    root = ET.fromstring(charts.class_bars(CLASSES, {"red": 0.5, "green": 1.0}, 0.75, "IoU"))

    tracks = [float(item.get("width", 0)) for item in root.iter(f"{SVG}rect") if item.get("class") == "track"]
    bars = [float(item.get("width", 0)) for item in root.iter(f"{SVG}rect") if item.get("class") == "bar"]
    assert bars == pytest.approx([0.5 * tracks[0], tracks[1]])
    assert "does not occur" in [item.text for item in root.iter(f"{SVG}text")]  # blue


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


def test_a_picture_that_no_jpeg_can_hold_is_made_smaller() -> None:
    data = data_uri(np.zeros((70_000, 100, 3), np.uint8)).split(",")[1]
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)

    assert decoded is not None
    assert decoded.shape == (1280, 2, 3)
