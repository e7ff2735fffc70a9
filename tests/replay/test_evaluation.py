"""Scores of a replay, against torchmetrics and COCO's evaluation, and what is refused."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from distill_perception.bags.ground_truth import Boxes
from distill_perception.bags.mask_spool import MaskSpool
from distill_perception.bags.reader import open_bag
from distill_perception.bundle import load_bundle
from distill_perception.engines import Engine
from distill_perception.errors import ReplayError
from distill_perception.replay.evaluation import evaluate, measured
from distill_perception.replay.recording import FrameResult, Recording
from tests.replay.references import reference_map, reference_miou
from tests.replay.scored_bags import bag_of_boxes, bag_with, evaluated
from tests.support import drives
from tests.support.bags import bag_of, image
from tests.support.tiny_bundle import write_tiny_bundle


def test_scores_equal_the_reference_implementations(labelled_bag: Path, tiny: Path) -> None:
    evaluation = evaluated(labelled_bag, tiny)

    miou, iou = reference_miou(range(drives.FRAMES))
    assert evaluation.miou == pytest.approx(miou, abs=1e-6)
    assert evaluation.iou == pytest.approx(iou, abs=1e-6)
    assert (evaluation.map, evaluation.map50) == pytest.approx(reference_map(range(drives.FRAMES)), abs=1e-6)
    assert (evaluation.frames, evaluation.answered, evaluation.dropped) == (6, 6, 0)
    assert set(evaluation.latency_ms) == {"preprocess", "inference", "postprocess", "end_to_end"}


def test_without_labels_scores_are_none_and_not_zero(unlabelled_bag: Path, tiny: Path) -> None:
    metrics = evaluated(unlabelled_bag, tiny).metrics()

    assert [metrics[name] for name in ("miou", "iou", "map50", "map", "ap")] == [None] * 5
    assert metrics["labelled"] == 0
    assert metrics["latency_ms"]["end_to_end"]["p50"] > 0
    assert metrics["latency_ms"]["queue"] is None


def test_dropped_frames_are_counted_and_not_scored(labelled_bag: Path, tiny: Path) -> None:
    bag, manifest = open_bag(labelled_bag), load_bundle(tiny).manifest
    results = []
    with MaskSpool() as masks:
        for index, frame in enumerate(bag.frames()):
            key, answered = (frame.topic, frame.stamp_ns), index != 5
            if answered:
                masks.put(key, drives.perceived(drives.picture(index)))
            results.append(FrameResult(key, 0.1 * index, answered))
        evaluation = evaluate(bag, Recording(tuple(results), masks, True, 1.0, ""), manifest)

    assert (evaluation.frames, evaluation.answered, evaluation.dropped) == (6, 5, 1)
    assert evaluation.metrics()["answered_hz"] == 5.0
    assert evaluation.miou == pytest.approx(reference_miou(range(5))[0], abs=1e-6)
    assert [frame.miou is None for frame in evaluation.scored] == [False] * 5 + [True]


def test_the_confusion_matrix_has_what_was_labelled_by_row(tiny: Path, tmp_path: Path) -> None:
    label, seen = drives.label(5), drives.perceived(drives.picture(5))
    evaluation = evaluated(bag_with(tmp_path / "bag", {}, label, seen_in=drives.picture(5)), tiny)

    by_hand = [[np.sum((label == row) & (seen == column)) for column in range(3)] for row in range(3)]
    assert evaluation.confusion is not None
    np.testing.assert_array_equal(evaluation.confusion, by_hand)
    right = np.sum((label == seen) & (label != drives.VOID)) / np.sum(label != drives.VOID)
    assert evaluation.pixel_accuracy == pytest.approx(right)


def test_a_bundle_without_boxes_has_no_average_precision_whatever_is_labelled(
    labelled_bag: Path, tmp_path: Path
) -> None:
    evaluation = evaluated(labelled_bag, write_tiny_bundle(tmp_path / "masks", ("segmentation",)))

    assert evaluation.miou is not None
    assert (evaluation.map50, evaluation.map, evaluation.ap) == (None, None, {})


def test_latency_is_of_answered_frames_in_percentiles() -> None:
    results = [
        FrameResult(("/cam", index), 0.0, True, timings_ms={"end_to_end": float(index)})
        for index in range(101)
    ]
    results.append(FrameResult(("/cam", 101), 0.0, answered=False, timings_ms={"end_to_end": 9000.0}))
    with MaskSpool() as masks:
        evaluation = measured(Recording(tuple(results), masks, True, 1.0, ""))

    assert evaluation.latency_ms == {"end_to_end": {"p50": 50.0, "p95": 95.0, "p99": 99.0}}


def test_a_frames_own_miou_is_over_its_own_classes(labelled_bag: Path, tiny: Path) -> None:
    evaluation = evaluated(labelled_bag, tiny)

    own = [reference_miou([index])[0] for index in range(drives.FRAMES)]
    assert [frame.miou for frame in evaluation.scored] == pytest.approx(own, abs=1e-6)


def test_each_of_several_cameras_is_scored_by_itself_too(
    labelled_bag: Path, tiny: Path, tmp_path: Path
) -> None:
    """The second camera shows one picture under the label of another, and answers half of its frames."""
    messages = []
    for stamp, index in enumerate((0, 1, 2, 3), start=1):
        for camera, labelled in (("left", index), ("right", (index + 1) % 4)):
            messages += [
                (f"/{camera}/image_raw", stamp, image(stamp, drives.picture(index), "bgr8")),
                (f"/{camera}/label", stamp, image(stamp, drives.label(labelled), "mono8")),
            ]
    bag, manifest = open_bag(bag_of(tmp_path / "bag", messages)), load_bundle(tiny).manifest
    results = []
    with MaskSpool() as masks:
        for index in range(4):
            for camera in ("left", "right"):
                key, answered = (f"/{camera}/image_raw", index + 1), camera == "left" or index % 2 == 0
                if answered:
                    masks.put(key, drives.perceived(drives.picture(index)))
                times = {"end_to_end": 10.0 if camera == "left" else 30.0}
                results.append(FrameResult(key, 0.1 * index, answered, timings_ms=times))
        metrics = evaluate(bag, Recording(tuple(results), masks, True, 1.0, ""), manifest).metrics()

    left, right = (metrics["cameras"][f"/{camera}/image_raw"] for camera in ("left", "right"))
    assert (left["frames"], left["answered"], left["latency_ms"]["p50"]) == (4, 4, 10.0)
    assert (right["frames"], right["answered"], right["latency_ms"]["p50"]) == (4, 2, 30.0)
    assert left["miou"] == pytest.approx(reference_miou(range(4))[0], abs=1e-6)
    assert right["miou"] < metrics["miou"] < left["miou"]


def test_a_mask_id_that_is_no_class_is_refused(labelled_bag: Path, tiny: Path) -> None:
    bag = open_bag(labelled_bag)
    frame = next(bag.frames())
    key = (frame.topic, frame.stamp_ns)
    with MaskSpool() as masks:
        masks.put(key, np.full((drives.HEIGHT, drives.WIDTH), 8, np.uint8))
        recording = Recording((FrameResult(key, 0.0, True),), masks, True, 1.0, "")
        with pytest.raises(ReplayError, match="mask holds id 8, but there are 3 classes in bundle 'tiny'"):
            evaluate(bag, recording, load_bundle(tiny).manifest)


def test_masks_survive_the_spool() -> None:
    rng = np.random.default_rng(0)
    masks = {("/cam", stamp): rng.integers(0, 9, (5 + stamp, 7), np.uint8) for stamp in range(5)}
    with MaskSpool() as spool:
        for key, mask in masks.items():
            spool.put(key, mask)
        for key, mask in itertools.chain(masks.items(), reversed(masks.items())):
            np.testing.assert_array_equal(spool.get(key), mask)
        assert spool.get(("/cam", 99)) is None


def test_ctrl_c_while_the_engine_warms_up_is_ctrl_c(
    labelled_bag: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Engine) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "warm_up", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluated(labelled_bag, tiny)


def test_no_score_in_metrics_is_not_finite(labelled_bag: Path, unlabelled_bag: Path, tiny: Path) -> None:
    def numbers(value: object) -> list[float]:
        if isinstance(value, dict):
            return [number for item in value.values() for number in numbers(item)]
        return [float(value)] if isinstance(value, (int, float)) else []

    for bag in (labelled_bag, unlabelled_bag):
        assert all(math.isfinite(number) for number in numbers(evaluated(bag, tiny).metrics()))


def test_what_is_found_in_a_crowd_is_no_false_alarm(tiny: Path, tmp_path: Path) -> None:
    blue = np.array([[32.0, 24.0, 48.0, 48.0]])  # found with a lower score than the other blue box
    crowd = np.array([[10.0, 10.0, 40.0, 40.0]])
    alone, beside_crowd = Boxes(blue, np.array([2])), Boxes(blue, np.array([2]), crowd, np.array([2]))

    strict = evaluated(bag_of_boxes(tmp_path / "strict", [(None, alone)]), tiny)
    lenient = evaluated(bag_of_boxes(tmp_path / "lenient", [(None, beside_crowd)]), tiny)

    assert (strict.ap["blue"], lenient.ap["blue"]) == (pytest.approx(0.5), pytest.approx(1.0))


def test_masks_and_boxes_are_counted_apart(tiny: Path, tmp_path: Path) -> None:
    boxes = Boxes(np.array([[16.0, 12.0, 32.0, 36.0]]), np.array([2]))
    truths = [(drives.label(0), None), (drives.label(1), boxes), (None, boxes), (None, boxes), (None, None)]

    metrics = evaluated(bag_of_boxes(tmp_path / "bag", truths), tiny).metrics()

    assert [metrics[name] for name in ("labelled", "labelled_masks", "labelled_boxes")] == [4, 2, 3]
