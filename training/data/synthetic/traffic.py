"""Who moves in a street, and what is parked there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.data.synthetic.bodies import BODIES, PAINTS
from training.data.synthetic.canvas import Canvas
from training.data.synthetic.ground import Cross
from training.data.synthetic.people import Look, draw_cyclist, draw_pedestrian, make_look
from training.data.synthetic.vehicles import Vehicle

_SHARES = {"hatchback": 0.36, "saloon": 0.2, "estate": 0.16, "suv": 0.12, "van": 0.11, "bus": 0.05}


@dataclass(frozen=True)
class Actor:
    """Somebody or something that moves evenly: at time t it is at (x + vx t, z + vz t).

    Attributes:
        kind: "vehicle", "pedestrian" or "cyclist".
        heading: radians clockwise from straight ahead.
        shape: the vehicle, or the person's look.
    """

    kind: str
    x: float
    z: float
    vx: float
    vz: float
    heading: float
    shape: Vehicle | Look
    phase: float

    def place(self, time_s: float) -> tuple[float, float]:
        """Street position (x, z from the street's start) at a time."""
        return self.x + self.vx * time_s, self.z + self.vz * time_s

    def draw(self, canvas: Canvas, instance: int, ego_z: float, time_s: float) -> None:
        """Draw it as it is at a time; `instance` tells it from the others in this frame."""
        x, z = self.place(time_s)
        speed = math.hypot(self.vx, self.vz)
        if isinstance(self.shape, Vehicle):
            self.shape.draw(canvas, instance, x, z - ego_z, self.heading)
        elif self.kind == "pedestrian":
            phase = self.phase + (2 * math.pi * speed / 1.45 * time_s)
            draw_pedestrian(canvas, self.shape, instance, x, z - ego_z, self.heading, phase)
        else:
            phase = self.phase + speed * time_s * 1.1
            draw_cyclist(canvas, self.shape, instance, x, z - ego_z, self.heading, phase)


def make_actors(
    rng: np.random.Generator,
    cross: Cross,
    junctions: list[tuple[float, float]],
    style: str,
    keep: int,
    start_z: float,
    speed: float,
    length: float,
    duration_s: float,
) -> list[Actor]:
    """Fill a street. `keep` is the side one drives on (-1 left, 1 right); the camera starts at `start_z`."""
    actors: list[Actor] = []

    def vehicle(
        x: float, z: float, vz: float, heading: float, names: tuple[str, ...] = tuple(_SHARES)
    ) -> None:
        share = np.array([_SHARES[n] for n in names])
        name = names[int(rng.choice(len(names), p=share / share.sum()))]
        paint = PAINTS[rng.integers(len(PAINTS))]
        actors.append(Actor("vehicle", x, z, 0.0, vz, heading, Vehicle(BODIES[name], paint), 0.0))

    def person(kind: str, x: float, z: float, vx: float, vz: float, heading: float) -> None:
        phase = float(rng.uniform(0, 6.28))
        actors.append(Actor(kind, x, z, vx, vz, heading, make_look(rng), phase))

    lane = cross.half_road / 2
    roomy = cross.half_road > 4.0
    parked = {-1: 0.0, 1: 0.0}
    small = ("hatchback", "saloon", "estate", "suv", "van")
    for side in (-1, 1):
        density = float(rng.choice([0.0, 0.35, 0.8])) if roomy else float(rng.choice([0.0, 0.0, 0.2]))
        parked[side] = density
        for z in np.arange(-5 + float(rng.uniform(0, 5)), length, 6.2):
            near_junction = any(a - 7 < z < b + 9 for a, b in junctions)
            if rng.random() < density and not near_junction:
                on_kerb = side * (cross.half_road - 0.95)
                vehicle(
                    on_kerb, float(z + rng.uniform(-0.4, 0.4)), 0.0, 0.0 if side == keep else math.pi, small
                )
    ahead, pace = start_z + float(rng.uniform(9, 30)), float(rng.uniform(1.0, 1.05))
    for _ in range(int(rng.integers(1, 4))):
        vehicle(keep * (lane - 0.3), ahead, speed * pace, 0.0)
        pace += float(rng.uniform(0, 0.04))
        ahead += float(rng.uniform(14, 40))
    oncoming = start_z + float(rng.uniform(8, 40))
    other = float(rng.uniform(6, 11))
    while oncoming < length + other * duration_s:
        vehicle(-keep * (lane - 0.3), oncoming, -other, math.pi)
        oncoming += float(rng.uniform(12, 70))
    busy = {"high_street": 3.5, "centre": 4.5, "terrace": 9.0, "suburb": 13.0, "park": 11.0}[style]
    walk = (cross.half_road + cross.verge + 0.5, cross.pavement - 0.4)
    for side in (-1, 1):
        z = 2.0
        while z < length:
            way = 1 if rng.random() < 0.5 else -1
            pace = float(rng.uniform(0.9, 1.6)) * (0 if rng.random() < 0.12 else 1)
            heading = float(rng.normal(0, 0.15)) + (0.0 if way > 0 else math.pi)
            for _ in range(int(rng.choice([1, 1, 2]))):
                x = side * float(rng.uniform(*walk))
                person("pedestrian", x, z + float(rng.uniform(-0.5, 0.5)), 0.0, way * pace, heading)
            z += float(rng.exponential(busy)) + 0.8
    for a, b in junctions:
        if rng.random() < 0.7:
            way = 1 if rng.random() < 0.5 else -1
            reach = max(0.5, (a - start_z) / max(speed, 0.5) - 3.0)
            x = -way * (cross.half_road + 1.0) - way * 1.3 * (reach - 1.5)
            person("pedestrian", x, b + 2.0, way * 1.3, 0.0, way * math.pi / 2)
    z = start_z + float(rng.uniform(5, 35))
    while z < length:
        side = keep if rng.random() < 0.65 else -keep
        pace = float(rng.uniform(3.5, 6.0))
        if parked[side] and side == keep:
            pace = max(pace, speed * 1.02)
        edge = cross.half_road - (2.35 if parked[side] else float(rng.uniform(0.5, 1.2)))
        person(
            "cyclist",
            side * edge,
            z,
            0.0,
            pace * (1 if side == keep else -1),
            0.0 if side == keep else math.pi,
        )
        z += float(rng.exponential(26 if style in ("high_street", "centre") else 40)) + 5
    return actors
