"""Whether a replay kept the bag's pace, and what is said where it did not."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from distill_perception.bags.mask_spool import MaskSpool
from distill_perception.bags.reader import BagFrame, open_bag
from distill_perception.bundle import load_bundle
from distill_perception.engines import EngineSettings
from distill_perception.replay.evaluation import Evaluation, evaluate
from distill_perception.replay.in_process import perceive_bag
from distill_perception.replay.pace import Pace, PaceMeter
from distill_perception.replay.player import _play_at_pace
from distill_perception.replay.report.page import page
from distill_perception.replay.run import Outcome
from distill_perception.replay.run_info import run_info
from distill_perception.replay.summary import print_outcome
from tests.support import drives

KEPT = Pace({"p50": 1.0, "p95": 2.0, "max": 60.0}, 50.0)
EQUAL_TIMES = Pace({"p50": 1.0, "p95": 52.0, "max": 60.0}, 0.0)
LATE = Pace({"p50": 1.0, "p95": 52.0, "max": 60.0}, 50.0)


def test_lateness_is_told_in_milliseconds_and_the_period_as_it_is_played() -> None:
    meter = PaceMeter(rate=2.0)
    for index in range(101):
        for camera in ("/left", "/right"):
            meter.note(camera, index * 100_000_000, late_s=index / 1000 - 0.001)

    pace = meter.pace()

    assert pace is not None
    assert pace.late_ms == pytest.approx({"p50": 49.0, "p95": 94.0, "max": 99.0})
    assert pace.period_ms == 50.0


def test_a_pause_of_the_camera_is_not_its_period() -> None:
    meter = PaceMeter(rate=1.0)
    for time_ms in (0, 100, 200, 5000, 5100):
        meter.note("/cam", time_ms * 1_000_000, late_s=0.0)
    pace = meter.pace()
    assert pace is not None
    assert pace.period_ms == 100.0


def test_no_frames_have_no_pace_and_one_frame_has_no_period() -> None:
    meter = PaceMeter(rate=1.0)
    assert meter.pace() is None

    meter.note("/cam", 5, late_s=9.0)

    pace = meter.pace()
    assert pace is not None
    assert (pace.period_ms, pace.kept) == (None, True)


def test_pace_is_lost_when_frames_go_out_after_the_next_was_due() -> None:
    assert KEPT.kept
    assert not LATE.kept


@dataclass
class SlowLink:
    """Sends nowhere, and takes its time to make a message."""

    seconds: float
    ledger: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(sent=0, answered=0, waiting=0))

    def message(self, frame: BagFrame) -> None:
        time.sleep(self.seconds)

    def spin(self, seconds: float) -> None:
        time.sleep(seconds)

    def drain(self) -> None:
        pass

    def publish(self, frame: BagFrame, message: None) -> None:
        self.ledger.sent += 1


def test_a_player_that_cannot_keep_up_notices(labelled_bag: Path) -> None:
    meter = PaceMeter(rate=1.0)

    _play_at_pace(open_bag(labelled_bag), SlowLink(0.12), None, 1.0, meter, lambda sent, answered: None)

    pace = meter.pace()
    assert pace is not None
    assert pace.period_ms == pytest.approx(50.0)
    assert pace.late_ms["max"] >= 5 * (120 - 50)
    assert not pace.kept


@pytest.fixture(scope="module")
def evaluation(labelled_bag: Path, tiny: Path) -> Evaluation:
    bag, bundle = open_bag(labelled_bag), load_bundle(tiny)
    with MaskSpool() as masks:
        recording = perceive_bag(bag, bundle, "onnxruntime", EngineSettings(), masks)
        return evaluate(bag, replace(recording, pace=LATE), bundle.manifest)


def told(evaluation: Evaluation, tiny: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """The report's page and the summary in the terminal, in one line."""
    bundle = load_bundle(tiny)
    info = run_info(Path("bag"), ("/cam",), bundle, "fp32", "none", "own node, real time", 1.0)
    print_outcome(Outcome(evaluation, info, Path("m"), Path("r"), None))
    return page(bundle.manifest, evaluation, info, []), " ".join(capsys.readouterr().out.split())


def test_a_lost_pace_is_in_metrics_report_and_summary(
    evaluation: Evaluation, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, summary = told(evaluation, tiny, capsys)

    assert evaluation.metrics()["pace_late_ms"] == LATE.late_ms
    assert "fell behind the bag\u2019s pace</span>" in report
    assert "fell behind the bag's pace" in summary
    assert "p50 1.0, p95 52.0, max 60.0 ms, of 50.0 ms between frames" in report
    assert "p50 1.0, p95 52.0, max 60.0 ms, of 50.0 ms between frames" in summary


def test_equal_recording_times_are_named_with_what_helps(
    evaluation: Evaluation, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, summary = told(replace(evaluation, pace=EQUAL_TIMES), tiny, capsys)

    assert "the bag\u2019s recording times are equal</span>" in report
    assert "the bag's recording times are equal, play it with --as-fast-as-possible" in summary
    assert "--rate" not in summary


@pytest.mark.parametrize(("processed", "lost"), [(95, 45), (51, 1), (50, 0)])
def test_answers_that_did_not_come_are_told_apart_from_drops(
    processed: int, lost: int, evaluation: Evaluation, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counters = {"/cam": {"received": 100, "processed": processed}}
    some = replace(evaluation, frames=100, answered=50, counters=counters, pace=None)
    report, summary = told(some, tiny, capsys)

    assert some.metrics()["answers_lost"] == lost
    words = f"{lost} of the dropped frames {'was' if lost == 1 else 'were'} answered, but the answers did not"
    assert (words in summary) == (lost > 1)
    assert (f"of 100 sent (50.0%); {words} get here in time" in report) == (lost > 0)
    assert ("of the dropped frames" in report) == (lost > 0)


def test_a_camera_that_another_publisher_feeds_too_has_no_figures_of_what_got_lost(
    evaluation: Evaluation,
) -> None:
    counters = {"/cam": {"received": 148, "processed": 140}}
    metrics = replace(evaluation, frames=100, answered=100, counters=counters, pace=None).metrics()
    assert (metrics["lost_on_the_way"], metrics["answers_lost"]) == (None, None)


def test_drops_are_told_with_the_nodes_reasons(
    evaluation: Evaluation, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counters = {
        "/left": {"received": 50, "processed": 45, "dropped_stale": 1, "malformed": 4},
        "/right": {"received": 50, "processed": 47, "dropped_overwritten": 2, "malformed": 1},
    }
    some = replace(evaluation, frames=100, answered=92, counters=counters, pace=None)
    words = "8 of 100 frames: 1 too old, 2 overtaken by newer ones, 5 malformed"
    assert words in told(some, tiny, capsys)[1]


@pytest.mark.parametrize("pace", [KEPT, None])
def test_a_kept_pace_is_no_warning(
    pace: Pace | None, evaluation: Evaluation, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not any("fell behind" in text for text in told(replace(evaluation, pace=pace), tiny, capsys))


def test_each_score_is_told_with_the_frames_that_it_is_of(
    evaluation: Evaluation, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report, summary = told(replace(evaluation, labelled_masks=4, labelled_boxes=5), tiny, capsys)

    assert evaluation.labelled == drives.FRAMES
    assert "on 4 labelled frames" in report
    assert "boxes of 5 labelled frames" in report
    assert "(4 labelled frames)" in summary
    assert "(5 frames with labelled boxes)" in summary
