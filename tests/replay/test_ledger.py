"""Answers find the frame they belong to, and only that."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from distill_perception.bags.mask_spool import MaskSpool
from distill_perception.bags.reader import BagFrame
from distill_perception.bags.recorded_image import RecordedImage
from distill_perception.errors import ReplayError
from distill_perception.replay.ledger import Ledger

CAM = "/cam/image_raw"


def frame(stamp_ns: int) -> BagFrame:
    image = RecordedImage(np.zeros(18, np.uint8), "", encoding="bgr8", height=2, width=3, step=9)
    return BagFrame(CAM, stamp_ns, stamp_ns, image)


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


def detections(stamp_ns: int) -> Any:
    return SimpleNamespace(header=header(stamp_ns), detections=[])


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
    status = SimpleNamespace(values=[SimpleNamespace(key="inference", value="1.5")])
    with MaskSpool() as spool:
        ledger = Ledger(("segmentation",), spool)
        ledger.note_sent(frame(1), 101)
        ledger.on_mask(CAM, mask(101, 0))
        assert ledger.timing_is_due

        ledger.on_timing(CAM, SimpleNamespace(header=header(101), status=[status]))

        assert not ledger.timing_is_due
        (result,) = ledger.results(0.0)
        assert result.timings_ms["inference"] == 1.5
        assert result.timings_ms["end_to_end"] >= 0
