"""Answers find the frame they belong to, and only that."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from distill_perception.bags.mask_spool import MaskSpool
from distill_perception.bags.reader import BagFrame
from distill_perception.bags.recorded_image import RecordedImage
from distill_perception.errors import ReplayError
from distill_perception.perceptor import Detection
from distill_perception.replay import ledger as ledger_module
from distill_perception.replay.ledger import Ledger

CAM = "/cam/image_raw"


def frame(stamp_ns: int) -> BagFrame:
    image = RecordedImage(np.zeros(18, np.uint8), "", encoding="bgr8", height=2, width=3, step=9)
    return BagFrame(CAM, stamp_ns, stamp_ns, image)


class Clock:
    """Stands where we set it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now


def header(stamp_ns: int) -> Any:
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return SimpleNamespace(stamp=stamp, frame_id="camera")


def mask(stamp_ns: int, value: int, height: int = 2, width: int = 3) -> Any:
    data = bytes([value]) * (height * width)
    return SimpleNamespace(
        header=header(stamp_ns),
        height=height,
        width=width,
        step=width,
        encoding="mono8",
        is_bigendian=0,
        data=np.frombuffer(data, np.uint8),
    )


def detections(stamp_ns: int, *found: Any) -> Any:
    return SimpleNamespace(header=header(stamp_ns), detections=list(found))


def timing(stamp_ns: int, *values: tuple[str, str]) -> Any:
    pairs = [SimpleNamespace(key=key, value=value) for key, value in values]
    return SimpleNamespace(header=header(stamp_ns), status=[SimpleNamespace(values=pairs)])


def test_a_frame_is_answered_when_every_task_has_answered() -> None:
    with MaskSpool() as spool:
        ledger = Ledger(("segmentation", "detection"), spool)
        ledger.note_sent(frame(5), 1_000_000_005)
        ledger.on_mask(CAM, mask(1_000_000_005, 7))
        assert (ledger.sent, ledger.answered, ledger.waiting) == (1, 0, 1)

        ledger.on_detections(CAM, detections(1_000_000_005))

        assert (ledger.sent, ledger.answered, ledger.waiting) == (1, 1, 0)
        kept = spool.get((CAM, 5))  # under the bag's stamp
        assert kept is not None
        assert (kept == 7).all()


def test_frames_that_are_given_up_are_not_waited_for_and_their_late_answers_count() -> None:
    with MaskSpool() as spool:
        ledger = Ledger(("detection",), spool)
        ledger.note_sent(frame(5), 5)
        ledger.give_up()
        ledger.note_sent(frame(6), 6)
        assert ledger.waiting == 1

        ledger.on_detections(CAM, detections(5))

        assert (ledger.answered, ledger.waiting) == (1, 1)


def test_strange_late_and_repeated_answers_do_no_harm() -> None:
    with MaskSpool() as spool:
        ledger = Ledger(("segmentation",), spool)
        ledger.note_sent(frame(1), 101)
        ledger.note_sent(frame(2), 102)
        ledger.on_mask(CAM, mask(999, 9))
        ledger.on_mask("/other/image_raw", mask(101, 9))
        ledger.give_up()
        ledger.on_mask(CAM, mask(102, 2))
        ledger.on_mask(CAM, mask(102, 3))

        results = ledger.results(0.0)

        assert [result.answered for result in results] == [False, True]
        assert ledger.answered == 1
        kept = spool.get((CAM, 2))
        assert kept is not None
        assert (kept == 2).all()


def test_a_mask_of_another_size_is_refused_with_the_remedy() -> None:
    with MaskSpool() as spool:
        ledger = Ledger(("segmentation",), spool)
        ledger.note_sent(frame(1), 101)

        with pytest.raises(ReplayError, match=r"mask is 6x4, the image 3x2; .*mask_resolution to 'camera'"):
            ledger.on_mask(CAM, mask(101, 0, height=4, width=6))


def test_stage_times_come_with_the_result() -> None:
    with MaskSpool() as spool:
        ledger = Ledger(("segmentation",), spool)
        ledger.note_sent(frame(1), 101)
        ledger.on_mask(CAM, mask(101, 0))
        assert ledger.timing_is_due

        ledger.on_timing(CAM, timing(101, ("inference", "1.5")))

        assert not ledger.timing_is_due
        (result,) = ledger.results(0.0)
        assert result.timings_ms["inference"] == 1.5
        assert result.timings_ms["end_to_end"] >= 0


def test_a_timing_of_nothing_that_was_sent_and_one_without_a_status_do_no_harm() -> None:
    with MaskSpool() as spool:
        ledger = Ledger(("segmentation",), spool)
        ledger.note_sent(frame(1), 101)
        ledger.on_mask(CAM, mask(101, 0))

        ledger.on_timing(CAM, timing(999, ("inference", "9.9")))
        ledger.on_timing(CAM, SimpleNamespace(header=header(101), status=[]))

        assert ledger.timing_is_due
        assert "inference" not in ledger.results(0.0)[0].timings_ms


def test_the_timing_that_is_due_is_that_of_the_frame_answered_last() -> None:
    with MaskSpool() as spool:
        ledger = Ledger(("segmentation",), spool)
        for stamp in (101, 102):
            ledger.note_sent(frame(stamp), stamp)
            ledger.on_mask(CAM, mask(stamp, 0))

        ledger.on_timing(CAM, timing(101, ("inference", "1.5")))
        assert ledger.timing_is_due
        ledger.on_timing(CAM, timing(102, ("inference", "1.5")))
        assert not ledger.timing_is_due


def test_a_frame_takes_the_time_from_its_sending_to_its_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(100.0)
    monkeypatch.setattr(ledger_module, "time", clock)
    with MaskSpool() as spool:
        ledger = Ledger(("segmentation", "detection"), spool)
        clock.now = 101.0
        ledger.note_sent(frame(1), 101)
        assert ledger.last_event == 101.0
        clock.now = 101.5
        ledger.on_mask(CAM, mask(101, 0))
        clock.now = 101.75
        ledger.on_detections(CAM, detections(101))
        assert ledger.last_event == 101.75

        (result,) = ledger.results(begin=100.5)

        assert (result.sent_s, result.timings_ms) == (0.5, {"end_to_end": 750.0})


def test_detections_come_as_corners_with_score_and_class() -> None:
    centre = SimpleNamespace(position=SimpleNamespace(x=20.0, y=8.0))
    hypothesis = SimpleNamespace(hypothesis=SimpleNamespace(score=0.75, class_id="2"))
    found = SimpleNamespace(
        results=[hypothesis], bbox=SimpleNamespace(center=centre, size_x=10.0, size_y=4.0)
    )
    with MaskSpool() as spool:
        ledger = Ledger(("detection",), spool)
        ledger.note_sent(frame(1), 101)
        ledger.on_detections(CAM, detections(101, found))

        assert ledger.results(0.0)[0].detections == (Detection((15.0, 6.0, 25.0, 10.0), 0.75, 2),)


def test_a_mask_of_an_image_whose_size_is_not_known_is_taken() -> None:
    jpeg = RecordedImage(np.zeros(9, np.uint8), "jpeg")
    with MaskSpool() as spool:
        ledger = Ledger(("segmentation",), spool)
        ledger.note_sent(BagFrame(CAM, 1, 1, jpeg), 101)
        ledger.on_mask(CAM, mask(101, 4, height=4, width=6))

        kept = spool.get((CAM, 1))
        assert kept is not None
        assert kept.shape == (4, 6)
