"""What the node makes of a camera's counters."""

import numpy as np
import pytest

from distill_perception.latest import SlotCounts
from distill_perception.ros.diagnostics import (
    ERROR,
    OK,
    STAGES,
    WARN,
    CameraStats,
    Health,
    Reminder,
    Tally,
    judge,
)

TOPIC = "/cam/image_raw"


@pytest.mark.parametrize(
    ("health", "level", "said"),
    [
        (Health(Tally(received=5), Tally(received=5, processed=5), 0.1, 1), OK, "receiving"),
        (Health(Tally(), Tally(), 1.0, 0), OK, "waiting for the first frame"),
        (Health(Tally(), Tally(), 4.0, 0), WARN, f"nobody publishes {TOPIC}"),
        (Health(Tally(), Tally(), 4.0, 2), WARN, "config/fastdds.xml in its environment"),
        (Health(Tally(), Tally(), 4.0, 2), WARN, "look whether the camera sends anything yet"),
        (Health(Tally(received=9, processed=9), Tally(), 4.0, 1), WARN, "look at the camera and its driver"),
        (Health(Tally(), Tally(), 4.0, 1, qos_problem="reliability"), WARN, "qos_reliability:=best_effort"),
        (Health(Tally(), Tally(), 4.0, 1, other_type="x/msg/Y"), WARN, "is published as x/msg/Y"),
        (
            Health(Tally(), Tally(received=9, dropped_stale=9), 0.1, 1, age_ms=9e9, max_age_ms=500.0),
            WARN,
            "ros2 bag play --clock",
        ),
        (
            Health(Tally(), Tally(received=9, dropped_stale=9), 0.1, 1, age_ms=-9e9, max_age_ms=500.0),
            WARN,
            "the newest was stamped 9000000.0 s ahead of this node's clock, which jumped",
        ),
        (
            Health(Tally(), Tally(received=9, processed=9), 0.1, 1, age_ms=-3.6e6, max_age_ms=500.0),
            WARN,
            "stamps lie 3600 s ahead of this node's clock",
        ),
        (Health(Tally(), Tally(received=5, processed=5), 0.1, 1, lost=25), WARN, "25 frames were lost"),
        (
            Health(Tally(received=5), Tally(received=5, processed=5), 0.1, 1, others=1),
            WARN,
            "stop one of them",
        ),
        (Health(Tally(), Tally(received=2, malformed=2), 0.1, 1, reason="bad step"), WARN, "bad step"),
        (
            Health(Tally(), Tally(received=30, dropped_overwritten=30), 0.1, 1, stalled_s=4.0),
            ERROR,
            "frames arrive but none has been finished for 4 s",
        ),
        (
            Health(Tally(), Tally(received=2, failed=2), 0.1, 1, reason="publishing: no memory"),
            ERROR,
            "frames fail: publishing: no memory",
        ),
    ],
)
def test_trouble_is_named_with_its_remedy(health: Health, level: bytes, said: str) -> None:
    found_level, text = judge(TOPIC, health)
    assert found_level == level
    assert said in text


def said(every_second: list[str]) -> list[str]:
    """What a camera with these troubles, one each second, has logged."""
    reminder = Reminder()
    lines = [reminder.say(trouble, float(second)) for second, trouble in enumerate(every_second)]
    return [line for line in lines if line]


def test_trouble_that_comes_and_goes_is_logged_once_and_is_over_after_ten_good_seconds() -> None:
    losses = ["3 frames were lost", "", "1 frames were lost", "", "8 frames were lost", ""]
    assert said(losses) == ["3 frames were lost"]
    assert said(losses + [""] * 9) == ["3 frames were lost", "well again"]


def test_trouble_that_lasts_is_told_again_every_half_minute_and_another_one_at_once() -> None:
    silent = [f"no frame for {second} s" for second in range(40)]
    assert said(silent) == ["no frame for 0 s", "no frame for 30 s"]
    assert said([*silent[:3], "bad step"]) == ["no frame for 0 s", "bad step"]


def test_some_stale_frames_among_processed_ones_are_no_trouble() -> None:
    recent = Tally(received=9, processed=5, dropped_stale=4)
    assert judge(TOPIC, Health(recent, recent, 0.1, 1))[0] == OK


def test_frames_are_unfinished_from_the_first_arrival_until_one_is_done() -> None:
    stats = CameraStats(0.0)
    assert stats.stalled_s(9.0) == 0.0, "a silent camera says nothing about the engine"
    stats.arrived(10.0, 0.0)
    stats.arrived(12.0, 0.0)
    assert stats.stalled_s(13.0) == 3.0
    stats.processed(stages(1.0))
    assert stats.stalled_s(14.0) == 0.0
    stats.arrived(15.0, 0.0)
    assert stats.stalled_s(16.0) == 1.0
    stats.failed("boom")
    assert stats.stalled_s(17.0) == 0.0


def stages(total: float) -> dict[str, float]:
    return dict.fromkeys(STAGES, 1.0) | {"total": total}


def test_frames_in_work_count_as_waiting_so_that_the_sum_holds() -> None:
    stats = CameraStats(0.0)
    stats.processed(stages(4.0))
    stats.failed("boom")
    counts = SlotCounts(10, 3, 1, 1, 1)  # four taken: one processed, one failed, two in work
    tally = stats.tally(lambda: counts)
    assert tally == Tally(10, 1, 3, 1, 1, failed=1, waiting=3)
    assert tally.received == sum(
        (
            tally.processed,
            tally.dropped_overwritten,
            tally.dropped_stale,
            tally.malformed,
            tally.failed,
            tally.waiting,
        )
    )


def test_recent_counts_are_since_the_last_look() -> None:
    stats = CameraStats(10.0)
    assert stats.recent(Tally(received=4), 11.0) == (Tally(received=4), 1.0)
    assert stats.recent(Tally(received=9), 13.0) == (Tally(received=5), 2.0)


def test_percentiles_are_numpys() -> None:
    stats = CameraStats(0.0)
    assert stats.percentiles_ms() == {}
    totals = np.random.default_rng(3).gamma(2.0, 5.0, 200)
    for total in totals:
        stats.processed(stages(float(total)))
    found = stats.percentiles_ms()
    for percent in (50, 95, 99):
        assert found[f"total_p{percent}_ms"] == pytest.approx(np.percentile(totals, percent))
        assert found[f"queue_p{percent}_ms"] == 1.0
    assert len(found) == 3 * len(STAGES)
