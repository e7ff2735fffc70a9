import random
import threading
import time

import pytest

from distill_perception.latest import LatestSlots, SlotCounts


def taken(counts: SlotCounts) -> int:
    """Frames that the worker took and could read."""
    dropped = counts.dropped_overwritten + counts.dropped_stale
    return counts.received - dropped - counts.malformed - counts.waiting


def test_the_newest_frame_overwrites_the_waiting_one_and_that_is_counted() -> None:
    slots: LatestSlots[str] = LatestSlots()
    slot = slots.add("front")
    for name in ("first", "second", "third"):
        slot.put(name)
    assert slot.counts() == SlotCounts(received=3, dropped_overwritten=2, waiting=1)
    assert [frame.item for frame in slots.take(0)] == ["third"]
    assert slot.counts() == SlotCounts(received=3, dropped_overwritten=2)


def test_all_waiting_cameras_come_as_one_batch_in_the_order_of_the_slots() -> None:
    slots: LatestSlots[int] = LatestSlots()
    front, rear, side = slots.add("front"), slots.add("rear"), slots.add("side")
    side.put(3, stamp_ns=30)
    front.put(1, stamp_ns=10)
    batch = slots.take(0)
    assert [(frame.slot, frame.item, frame.stamp_ns) for frame in batch] == [(front, 1, 10), (side, 3, 30)]
    assert rear.counts() == SlotCounts()


def test_nothing_waiting_returns_empty_after_the_timeout() -> None:
    slots: LatestSlots[int] = LatestSlots()
    slots.add("front")
    start = time.monotonic()
    assert slots.take(0.05) == []
    assert 0.045 <= time.monotonic() - start < 2.0


def test_a_frame_wakes_the_one_who_waits() -> None:
    slots: LatestSlots[int] = LatestSlots()
    slot = slots.add("front")
    threading.Timer(0.05, slot.put, (7,)).start()
    assert [frame.item for frame in slots.take(10)] == [7]


def test_closing_wakes_the_one_who_waits_for_ever() -> None:
    slots: LatestSlots[int] = LatestSlots()
    result: list[object] = [None]
    waiter = threading.Thread(target=lambda: result.__setitem__(0, slots.take()))
    waiter.start()
    slots.close()
    waiter.join(10)
    assert not waiter.is_alive()
    assert result == [[]]


def test_closed_slots_hand_out_nothing_but_keep_their_counts_balanced() -> None:
    slots: LatestSlots[int] = LatestSlots()
    slot = slots.add("front")
    slots.close()
    slot.put(1)
    assert slots.take(0) == []
    assert slot.counts() == SlotCounts(received=1, waiting=1)


def test_frames_older_than_the_limit_are_counted_as_stale_and_left_out() -> None:
    slots: LatestSlots[str] = LatestSlots()
    front, rear = slots.add("front"), slots.add("rear")
    front.put("old", stamp_ns=1_000_000_000)
    rear.put("fresh", stamp_ns=1_100_000_000)
    batch = slots.take(0, max_age_ms=100, now_ns=lambda: 1_200_000_000)
    assert [frame.item for frame in batch] == ["fresh"]  # exactly 100 ms old is not too old
    assert front.counts() == SlotCounts(received=1, dropped_stale=1)
    assert rear.counts() == SlotCounts(received=1)


@pytest.mark.parametrize("max_age_ms", [0, 100])
def test_stamps_of_the_future_and_no_limit_leave_frames_alone(max_age_ms: float) -> None:
    slots: LatestSlots[str] = LatestSlots()
    slots.add("front").put("frame", stamp_ns=0 if max_age_ms == 0 else 10**18)
    assert len(slots.take(0, max_age_ms, now_ns=lambda: 10**15)) == 1


def test_waiting_goes_on_when_all_that_came_was_stale() -> None:
    slots: LatestSlots[str] = LatestSlots()
    slot = slots.add("front")
    slot.put("old", stamp_ns=0)
    threading.Timer(0.05, slot.put, ("fresh", 10**9)).start()
    assert [frame.item for frame in slots.take(10, 100, now_ns=lambda: 10**9)] == ["fresh"]
    assert slot.counts() == SlotCounts(received=2, dropped_stale=1)


def test_malformed_frames_are_counted_before_and_after_delivery() -> None:
    slots: LatestSlots[int] = LatestSlots()
    slot = slots.add("front")
    slot.count_malformed()
    slot.put(1)
    slots.take(0)
    slot.count_malformed(delivered=True)
    assert slot.counts() == SlotCounts(received=2, malformed=2)


def test_two_slots_of_one_name_are_refused() -> None:
    slots: LatestSlots[int] = LatestSlots()
    slots.add("front")
    with pytest.raises(ValueError, match="'front' exists"):
        slots.add("front")


def test_counts_are_exact_under_many_threads() -> None:
    slots: LatestSlots[int] = LatestSlots()
    cameras = [slots.add(f"camera{number}") for number in range(3)]
    least, writers = 2000, 2
    written = dict.fromkeys(range(3 * writers), 0)
    seen: dict[str, list[int]] = {camera.name: [] for camera in cameras}
    fell: list[int] = []
    done = threading.Event()
    give_up = time.monotonic() + 60

    def write(number: int) -> None:
        """Until the readers too have had their turn, whenever the machine gives them one."""
        camera, rng = cameras[number % 3], random.Random(number)
        while written[number] < least or not camera.counts().dropped_stale:
            if rng.random() < 0.1:
                camera.count_malformed()
            else:
                camera.put(written[number], stamp_ns=rng.randint(0, 10))
            written[number] += 1
            if rng.random() < 0.02:
                time.sleep(0)
            if time.monotonic() > give_up:
                return

    def work() -> None:
        while not done.is_set():
            for frame in slots.take(0.01, max_age_ms=5e-6, now_ns=lambda: 10):
                seen[frame.slot.name].append(frame.item)

    def watch() -> None:
        before = [0, 0, 0]
        while not done.is_set():
            now = [taken(counts) for counts in slots.counts().values()]
            fell.extend(new for old, new in zip(before, now, strict=True) if new < old)
            before = now

    threads = [threading.Thread(target=write, args=(number,)) for number in written]
    others = [threading.Thread(target=target) for target in (work, work, watch)]
    for thread in others + threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    done.set()
    for thread in others:
        thread.join(90)
    assert fell == [], "counts of one moment fit each other"
    for number, camera in enumerate(cameras):
        counts = camera.counts()
        assert counts.received == written[number] + written[number + 3]
        assert taken(counts) == len(seen[camera.name])
        assert counts.dropped_stale > 0
        assert counts.malformed > 0
