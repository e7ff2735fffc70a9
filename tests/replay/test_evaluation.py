"""Scores of a replay, against torchmetrics and COCO's evaluation, and what is refused."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from distill_perception.bags.ground_truth import Boxes
from distill_perception.bags.labelled_folder import LabelledFrame
from distill_perception.bags.mask_spool import MaskSpool
from distill_perception.bags.reader import open_bag
from distill_perception.bags.writer import BagOptions, write_bag
from distill_perception.bundle import load_bundle
from distill_perception.engines import Engine, EngineSettings
from distill_perception.errors import BagError, ReplayError
from distill_perception.replay.evaluation import Evaluation, evaluate, measured
from distill_perception.replay.in_process import perceive_bag
from distill_perception.replay.label_checks import check_labels
from distill_perception.replay.recording import FrameResult, Recording
from distill_perception.replay.run import ReplayOptions, replay
from tests.replay.references import reference_map, reference_miou
from tests.support import drives
from tests.support.bags import bag_of, image
from tests.support.tiny_bundle import write_tiny_bundle


def evaluated(bag: Path, bundle: Path) -> Evaluation:
    opened, loaded = open_bag(bag), load_bundle(bundle)
    with MaskSpool() as masks:
        recording = perceive_bag(opened, loaded, "onnxruntime", EngineSettings(), masks)
        return evaluate(opened, recording, loaded.manifest)


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


def bag_with(path: Path, names: dict[int, str], label: np.ndarray, seen_in: np.ndarray | None = None) -> Path:
    frame = LabelledFrame("one", drives.picture(0) if seen_in is None else seen_in, label, None)
    write_bag(path, [frame], BagOptions(), names)
    return path


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            {0: "red", 1: "green"},
            "label_info has 2 classes, the bundle 3; class id 2 is 'not there' in the bag",
        ),
        ({0: "red", 1: "blue", 2: "green"}, "class id 1 is 'blue' in the bag and 'green' in the bundle"),
        (dict(enumerate("abcd")), "has 3 classes, the bundle 3; class id 0 is 'a'"),
    ],
)
def test_labels_of_other_classes_are_refused(
    names: dict[int, str], words: str, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(ReplayError, match=words):
        evaluated(bag_with(tmp_path / "bag", names, drives.label(0)), tiny)


def test_labels_of_other_classes_can_be_left_out(tiny: Path, tmp_path: Path) -> None:
    bag = bag_with(tmp_path / "bag", dict(enumerate("abcd")), drives.label(0))
    options = ReplayOptions(bag, str(tiny), tmp_path / "out", in_process=True, labels=False, video=False)
    found = replay(options).evaluation
    assert (found.answered, found.labelled, found.miou, found.map50) == (1, 0, None, None)


def test_void_may_be_named_in_label_info(tiny: Path, tmp_path: Path) -> None:
    names = {**dict(enumerate(drives.CLASS_NAMES)), drives.VOID: "void"}

    assert evaluated(bag_with(tmp_path / "bag", names, drives.label(0)), tiny).miou is not None


def test_a_label_id_that_is_no_class_is_refused(tiny: Path, tmp_path: Path) -> None:
    label = drives.label(0)
    label[20, 20] = 7

    with pytest.raises(ReplayError, match="label has class id 7, but bundle 'tiny' has the 3 classes 0 to 2"):
        evaluated(bag_with(tmp_path / "bag", {}, label), tiny)


def test_labels_that_cannot_be_scored_are_refused_before_a_frame_is_played(
    tiny: Path, tmp_path: Path
) -> None:
    wrong_id, small = drives.label(0), drives.label(0)[:-2]
    wrong_id[20, 20] = 7
    for name, label, words in (
        ("id", wrong_id, r"bag_id.*image_raw at .* s: the label has class id 7"),
        ("size", small, r"the label is \d+x\d+, the image \d+x\d+; labels must have"),
    ):
        options = ReplayOptions(bag_with(tmp_path / f"bag_{name}", {}, label), str(tiny), tmp_path / "out")
        with pytest.raises(ReplayError, match=words):
            replay(options)
        assert not (tmp_path / "out").exists()


def test_a_label_of_another_encoding_is_named_with_its_place(tiny: Path, tmp_path: Path) -> None:
    colours = np.zeros((drives.HEIGHT, drives.WIDTH, 3), np.uint8)
    messages = [
        ("/cam/image_raw", 10**9, image(10**9, drives.picture(0), "rgb8")),
        ("/cam/label", 10**9, image(10**9, colours, "rgb8")),
    ]
    bag = bag_of(tmp_path / "bag", messages)
    with pytest.raises(BagError, match=r"bag, /cam/label at 1.000 s: a label must be mono8 class ids"):
        check_labels(open_bag(bag, index_images=True), load_bundle(tiny).manifest)


def bag_of_stamps(path: Path, images: range, labels: range) -> Path:
    """A camera's pictures and labels at these header stamps."""
    messages = [("/cam/image_raw", stamp, image(stamp, drives.picture(0), "bgr8")) for stamp in images]
    messages += [("/cam/label", stamp, image(stamp, drives.label(0), "mono8")) for stamp in labels]
    return bag_of(path, messages)


def test_labels_that_have_the_stamp_of_no_image_are_refused(tiny: Path, tmp_path: Path) -> None:
    bag = bag_of_stamps(tmp_path / "bag", range(1_000, 161_000, 1_000), range(1_250, 13_250, 1_000))
    options = ReplayOptions(bag, str(tiny), tmp_path / "out", in_process=True)

    words = r"none of its labels \(12 on /cam/label\).* nearest is 0\.000000250 s away.*--no-labels"
    with pytest.raises(ReplayError, match=words):
        replay(options)

    assert not (tmp_path / "out").exists()


def test_labels_that_begin_late_in_the_bag_are_no_reason_to_refuse_it(tiny: Path, tmp_path: Path) -> None:
    bag = open_bag(bag_of_stamps(tmp_path / "bag", range(1, 131), range(121, 131)))

    check_labels(bag, load_bundle(tiny).manifest)


def test_labels_that_were_not_used_are_told(
    tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert evaluated(bag_of_stamps(tmp_path / "bag", range(1, 7), range(4, 9)), tiny).labelled == 3

    assert "only 3 of the 5 labels on /cam/label have the stamp of an image" in caplog.text


def test_labels_that_were_all_used_are_not_told(
    labelled_bag: Path, tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    evaluated(labelled_bag, tiny)

    assert not caplog.text


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


def bag_of_boxes(path: Path, frames: list[tuple[np.ndarray | None, Boxes | None]]) -> Path:
    """A bag of the drive's pictures with these labels and boxes."""
    pictures = (LabelledFrame(str(i), drives.picture(i), *truth) for i, truth in enumerate(frames))
    write_bag(path, pictures)
    return path


def test_what_is_found_in_a_crowd_is_no_false_alarm(tiny: Path, tmp_path: Path) -> None:
    blue = np.array([[32.0, 24.0, 48.0, 48.0]])  # found with a lower score than the other blue box
    crowd = np.array([[10.0, 10.0, 40.0, 40.0]])
    alone, beside_crowd = Boxes(blue, np.array([2])), Boxes(blue, np.array([2]), crowd, np.array([2]))

    strict = evaluated(bag_of_boxes(tmp_path / "strict", [(None, alone)]), tiny)
    lenient = evaluated(bag_of_boxes(tmp_path / "lenient", [(None, beside_crowd)]), tiny)

    assert (strict.ap["blue"], lenient.ap["blue"]) == (pytest.approx(0.5), pytest.approx(1.0))


def test_a_crowd_of_a_class_that_is_none_is_refused(tiny: Path, tmp_path: Path) -> None:
    crowd = Boxes(np.zeros((0, 4)), np.zeros(0, np.int64), np.array([[1.0, 1.0, 9.0, 9.0]]), np.array([7]))

    with pytest.raises(ReplayError, match="a labelled box is of a class that bundle 'tiny' does not have"):
        evaluated(bag_of_boxes(tmp_path / "bag", [(None, crowd)]), tiny)


@pytest.mark.parametrize("ignored", [False, True])
def test_a_box_of_a_class_without_boxes_is_refused(ignored: bool, tiny: Path, tmp_path: Path) -> None:
    red, none = (np.array([[1.0, 1.0, 9.0, 9.0]]), np.array([0])), (np.zeros((0, 4)), np.zeros(0, np.int64))
    bag = bag_of_boxes(tmp_path / "bag", [(None, Boxes(*none, *red) if ignored else Boxes(*red))])

    with pytest.raises(ReplayError, match=r"of class 0, which bundle 'tiny' never finds: 'red' has no boxes"):
        evaluated(bag, tiny)


def test_labels_that_do_not_name_their_classes_are_told(
    labelled_bag: Path, unlabelled_bag: Path, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(bag: Path) -> str:
        check_labels(open_bag(bag, index_images=True), load_bundle(tiny).manifest)
        return " ".join(capsys.readouterr().err.split())

    nameless = bag_with(tmp_path / "bag", {}, drives.label(0))
    assert f"{nameless}: its labels have no class names (label_info), so they are scored as if" in told(
        nameless
    )
    assert told(labelled_bag) == told(unlabelled_bag) == ""


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize(
    ("corners", "problem"),
    [
        ((math.nan, 12, 32, 36), r"\(nan, .*\) is not of finite numbers"),
        ((32, 12, 16, 36), r"\(32, 12, 16, 36\) has no width or height"),
        ((16, 36, 32, 36), r"\(16, 36, 32, 36\) has no width or height"),
        ((64, 12, 80, 36), r"\(64, 12, 80, 36\) lies wholly outside its 64x48 image"),
        ((16, -9, 32, 0), r"\(16, -9, 32, 0\) lies wholly outside its 64x48 image"),
    ],
)
def test_a_labelled_box_in_which_nothing_can_be_found_is_refused(
    corners: tuple[float, ...], problem: str, ignored: bool, tiny: Path, tmp_path: Path
) -> None:
    good, bad = (
        Boxes(np.array([[50.0, 40.0, 80.0, 60.0]]), np.array([2])),
        (np.array([corners]), np.array([2])),
    )
    boxes = Boxes(good.xyxy, good.labels, *bad) if ignored else Boxes(*bad)
    bag = bag_of_boxes(tmp_path / "bag", [(None, good), (None, boxes)])

    words = rf"bag, /camera/front/boxes at \d+\.\d+ s: the labelled box {problem}.*--no-labels"
    with pytest.raises(ReplayError, match=words):
        evaluated(bag, tiny)


def test_masks_and_boxes_are_counted_apart(tiny: Path, tmp_path: Path) -> None:
    boxes = Boxes(np.array([[16.0, 12.0, 32.0, 36.0]]), np.array([2]))
    truths = [(drives.label(0), None), (drives.label(1), boxes), (None, boxes), (None, boxes), (None, None)]

    metrics = evaluated(bag_of_boxes(tmp_path / "bag", truths), tiny).metrics()

    assert [metrics[name] for name in ("labelled", "labelled_masks", "labelled_boxes")] == [4, 2, 3]
