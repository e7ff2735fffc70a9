"""Whether frames went out when the bag's pace wants them: a replay that lags is not what the camera was."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pace:
    """How late frames went out, in milliseconds.

    late_ms: p50, p95 and max over all frames; period_ms: usual time between two frames of one camera as they
    were to be played, None if no camera has two.
    """

    late_ms: dict[str, float]
    period_ms: float | None

    @property
    def kept(self) -> bool:
        """Whether all but a few frames went out before the next one was due."""
        return self.period_ms is None or self.late_ms["p95"] <= self.period_ms

    @property
    def problem(self) -> str:
        """What kept frames from going out in time; empty if they did."""
        if self.kept:
            return ""
        return "fell behind the bag's pace" if self.period_ms else "the bag's recording times are equal"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return "try a slower --rate" if self.period_ms else "play it with --as-fast-as-possible"

    def __str__(self) -> str:
        late = ", ".join(f"{name} {value:.1f}" for name, value in self.late_ms.items())
        return f"{late} ms" + (f", of {self.period_ms:.1f} ms between frames" if self.period_ms else "")


class PaceMeter:
    """Collects each frame's lateness.

    Args:
        rate: how much faster than the bag's own pace it is played.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._late_s: list[float] = []
        self._times_ns: defaultdict[str, list[int]] = defaultdict(list)

    def note(self, topic: str, time_ns: int, late_s: float) -> None:
        """A frame of the bag's time `time_ns` goes out `late_s` seconds after it was due."""
        self._late_s.append(max(0.0, late_s))
        self._times_ns[topic].append(time_ns)

    def pace(self) -> Pace | None:
        """The verdict; None before any frame."""
        if not self._late_s:
            return None
        late = np.array(self._late_s) * 1e3
        p50, p95 = np.percentile(late, (50, 95))
        steps = np.concatenate([np.diff(times) for times in self._times_ns.values()])
        period_ms = float(np.median(steps)) / 1e6 / self._rate if steps.size else None
        return Pace({"p50": float(p50), "p95": float(p95), "max": max(self._late_s) * 1e3}, period_ms)
