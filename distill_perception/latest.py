"""Freshness over completeness: one slot a camera that the newest frame overwrites, with exact counts."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class SlotCounts:
    """What became of a camera's frames; at every moment all others of `received` were taken by the worker."""

    received: int = 0
    dropped_overwritten: int = 0
    dropped_stale: int = 0
    malformed: int = 0
    waiting: int = 0


@dataclass(frozen=True)
class Taken(Generic[T]):
    """A frame that the worker took: from which slot, and its stamp."""

    slot: "LatestSlot[T]"
    item: T
    stamp_ns: int


class LatestSlot(Generic[T]):
    """One camera's slot; made by `LatestSlots.add`. Every method may be called from any thread."""

    def __init__(self, name: str, condition: threading.Condition) -> None:
        self.name = name
        self._condition = condition
        self._waiting: Taken[T] | None = None
        self._received = self._overwritten = self._stale = self._malformed = 0

    def put(self, item: T, stamp_ns: int = 0) -> None:
        """Leave the newest frame, in place of one that nobody has taken yet."""
        with self._condition:
            self._received += 1
            self._overwritten += self._waiting is not None
            self._waiting = Taken(self, item, stamp_ns)
            self._condition.notify_all()

    def count_malformed(self, *, delivered: bool = False) -> None:
        """Count a frame that cannot be read: on arrival, or after the worker has taken it (`delivered`)."""
        with self._condition:
            self._malformed += 1
            self._received += not delivered

    def counts(self) -> SlotCounts:
        """A consistent picture of the counters."""
        with self._condition:
            return SlotCounts(
                self._received,
                self._overwritten,
                self._stale,
                self._malformed,
                int(self._waiting is not None),
            )

    def _take(self, is_stale: Callable[[int], bool]) -> Taken[T] | None:
        """Empty the slot; the caller holds the condition."""
        taken, self._waiting = self._waiting, None
        if taken is not None and is_stale(taken.stamp_ns):
            self._stale += 1
            return None
        return taken


class LatestSlots(Generic[T]):
    """The cameras' slots, and the worker's way to wait for any of them."""

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.RLock())
        self._slots: dict[str, LatestSlot[T]] = {}
        self._closed = False

    def add(self, name: str) -> LatestSlot[T]:
        """Make a camera's slot."""
        with self._condition:
            if name in self._slots:
                raise ValueError(f"slot '{name}' exists already")
            slot = self._slots[name] = LatestSlot(name, self._condition)
            return slot

    def counts(self) -> dict[str, SlotCounts]:
        """Every slot's counters, all taken at the same moment."""
        with self._condition:
            return {name: slot.counts() for name, slot in self._slots.items()}

    def take(
        self,
        timeout_s: float | None = None,
        max_age_ms: float = 0.0,
        now_ns: Callable[[], int] | None = None,
    ) -> list[Taken[T]]:
        """Wait until a frame is there, then take all waiting ones as one batch, in the order of the slots.

        Args:
            timeout_s: how long to wait for one; None waits until `close`.
            max_age_ms: frames whose stamp is further than this behind `now_ns()` are counted as stale and
                left out; 0 takes every frame.
            now_ns: the clock that the stamps belong to; without it no frame is stale.

        Returns:
            The frames; empty when the time ran out or the slots were closed.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._condition:
            while not self._closed:
                batch = self._take_waiting(max_age_ms, now_ns)
                if batch:
                    return batch
                remaining = None if deadline is None else deadline - time.monotonic()
                if remaining is not None and remaining <= 0:
                    break
                self._condition.wait(remaining)
            return []

    def close(self) -> None:
        """Wake everyone who waits in `take`, for good."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _take_waiting(self, max_age_ms: float, now_ns: Callable[[], int] | None) -> list[Taken[T]]:
        oldest_ns = now_ns() - int(max_age_ms * 1e6) if now_ns is not None and max_age_ms > 0 else None

        def is_stale(stamp_ns: int) -> bool:
            return oldest_ns is not None and stamp_ns < oldest_ns

        taken = (slot._take(is_stale) for slot in self._slots.values())
        return [item for item in taken if item is not None]
