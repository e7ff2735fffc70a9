"""Shapes and paints of cars, vans and buses."""

from __future__ import annotations

from dataclasses import dataclass

from training.data.synthetic.light import Color

Profile = tuple[tuple[float, float], ...]
PAINTS: tuple[Color, ...] = (
    (28, 28, 30),
    (52, 50, 48),
    (150, 150, 148),
    (190, 190, 188),
    (225, 226, 226),
    (38, 30, 130),
    (110, 60, 30),
    (140, 90, 50),
    (60, 80, 40),
    (90, 95, 98),
    (30, 40, 90),
    (70, 150, 170),
    (45, 45, 45),
    (170, 165, 160),
)


@dataclass(frozen=True)
class Body:
    """Shape of a vehicle, metres.

    `lower` and `upper` are profiles (along, up) from the rear to the front over the top; `along` is 0 at the
    middle. `glazed` says which strips of `upper` are glass.
    """

    length: float
    width: float
    height: float
    lower: Profile
    upper: Profile
    glazed: tuple[bool, ...]
    wheel: float = 0.32


def _car(length: float, width: float, height: float, boot: float, bonnet: float, belt: float) -> Body:
    r, f = -length / 2, length / 2
    lower = (
        (r, 0.32),
        (r, belt * 0.75),
        (r + 0.08, belt),
        (f - bonnet, belt),
        (f - 0.12, belt * 0.82),
        (f, belt * 0.6),
        (f, 0.3),
    )
    upper = (
        (r + 0.1 + boot, belt),
        (r + 0.45 + boot, height - 0.06),
        (r + 1.0 + boot, height),
        (f - bonnet - 0.75, height - 0.03),
        (f - bonnet + 0.1, belt),
    )
    return Body(length, width, height, lower, upper, (True, False, False, True))


def _box(length: float, width: float, height: float, belt: float, wheel: float) -> Body:
    r, f = -length / 2, length / 2
    lower = ((r, 0.35), (r, belt), (f - 0.1, belt), (f, belt * 0.8), (f, 0.35))
    upper = ((r, belt), (r + 0.05, height), (f - 0.8, height), (f - 0.1, belt))
    return Body(length, width, height, lower, upper, (True, False, True), wheel)


BODIES: dict[str, Body] = {
    "hatchback": _car(3.9, 1.68, 1.46, 0.0, 1.05, 0.92),
    "saloon": _car(4.5, 1.76, 1.43, 0.55, 1.2, 0.92),
    "estate": _car(4.5, 1.76, 1.5, 0.0, 1.2, 0.95),
    "suv": _car(4.5, 1.86, 1.72, 0.0, 1.15, 1.08),
    "van": _box(4.9, 1.9, 2.05, 1.15, 0.34),
    "bus": _box(10.5, 2.5, 3.1, 1.3, 0.48),
}
