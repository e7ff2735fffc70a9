"""Which frames the report shows, and how."""

import base64
import re

import cv2
import numpy as np

from distill_perception.bags.reader import BagFrame
from distill_perception.bags.recorded_image import RecordedImage
from distill_perception.perceptor import Detection
from distill_perception.replay.evaluation import ScoredFrame
from distill_perception.replay.examples import Example, Examples
from distill_perception.replay.recording import FrameResult
from distill_perception.replay.report.pictures import data_uri, figure
from tests.support.tiny_bundle import CLASSES


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


def test_a_picture_that_no_jpeg_can_hold_is_made_smaller() -> None:
    data = data_uri(np.zeros((70_000, 100, 3), np.uint8)).split(",")[1]
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)

    assert decoded is not None
    assert decoded.shape == (1280, 2, 3)
