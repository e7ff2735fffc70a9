"""What stands in a street: one small frozen class for each kind, all drawn by `draw(canvas, ego_z)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from training.data.synthetic import furniture
from training.data.synthetic.canvas import Canvas
from training.data.synthetic.classes import BUILDING, tag
from training.data.synthetic.light import Color
from training.data.synthetic.texture import Texture


class Thing(Protocol):
    """Something with a place: `far` is the z (from the street's start) that it is sorted by, far first."""

    @property
    def far(self) -> float: ...

    def draw(self, canvas: Canvas, ego_z: float) -> None: ...


@dataclass(frozen=True)
class Building:
    """A block along the street between z0 and z1 with its front at x (negative: left side)."""

    x: float
    z0: float
    z1: float
    front: Texture
    wall: Texture
    roof: Texture | None

    @property
    def far(self) -> float:
        return self.z1 + 0.01 * abs(self.x)

    def draw(self, canvas: Canvas, ego_z: float) -> None:
        a, b, h, s = self.z0 - ego_z, self.z1 - ego_z, self.front.height_m, 1 if self.x > 0 else -1
        deep, mark, light = self.x + s * 9.0, tag(BUILDING), canvas.light
        ridge = (self.x + s * 4.5, h + 3.2)
        if a > 0.7:
            gable = [(self.x, h, a), (deep, h, a), (deep, 0.0, a), (self.x, 0.0, a)]
            if s < 0:
                gable = [gable[1], gable[0], gable[3], gable[2]]
            canvas.panel(self.wall, gable, mark, light.shade(0, 0, -1))
            if self.roof is not None:
                peak = [(self.x, h, a), (ridge[0], ridge[1], a), (deep, h, a)]
                canvas.polygon(peak, (96, 110, 130), mark, light.shade(0, 0, -1))
        if self.roof is not None:
            slope = [(ridge[0], ridge[1], b), (ridge[0], ridge[1], a), (self.x, h, a), (self.x, h, b)]
            canvas.panel(self.roof, slope, mark, light.shade(-s * 0.58, 0.81, 0))
            cx, cz = ridge[0], 0.5 * (a + b)
            canvas.polygon(
                [
                    (cx - 0.5, h + 2.6, cz),
                    (cx - 0.5, h + 4.6, cz),
                    (cx + 0.5, h + 4.6, cz),
                    (cx + 0.5, h + 2.6, cz),
                ],
                (62, 76, 112),
                mark,
                light.shade(0, 0, -1),
            )
        front = [(self.x, h, b), (self.x, h, a), (self.x, 0.0, a), (self.x, 0.0, b)]
        if s < 0:
            front = [front[1], front[0], front[3], front[2]]
        canvas.panel(self.front, front, mark, light.shade(-s, 0, 0))


@dataclass(frozen=True)
class Panel:
    """An upright sheet along the street: railing, boards, hedge or wall."""

    x: float
    z0: float
    z1: float
    texture: Texture
    class_id: int
    whole: bool

    @property
    def far(self) -> float:
        return 0.5 * (self.z0 + self.z1)

    def draw(self, canvas: Canvas, ego_z: float) -> None:
        a, b, h = self.z0 - ego_z, self.z1 - ego_z, self.texture.height_m
        first, last = (b, a) if self.x > canvas.camera.lateral else (a, b)
        corners = [(self.x, h, first), (self.x, h, last), (self.x, 0.0, last), (self.x, 0.0, first)]
        facing = -1.0 if self.x > 0 else 1.0
        canvas.panel(
            self.texture, corners, tag(self.class_id), canvas.light.shade(facing, 0.2, 0), self.whole
        )


@dataclass(frozen=True)
class Upright:
    """A picture standing across the street's direction, such as a tree."""

    x: float
    z: float
    texture: Texture
    class_id: int

    @property
    def far(self) -> float:
        return self.z

    def draw(self, canvas: Canvas, ego_z: float) -> None:
        z, h, half = self.z - ego_z, self.texture.height_m, self.texture.width_m / 2
        corners = [
            (self.x - half, h, z),
            (self.x + half, h, z),
            (self.x + half, 0.0, z),
            (self.x - half, 0.0, z),
        ]
        canvas.panel(self.texture, corners, tag(self.class_id), 0.25 + canvas.light.shade(0, 0.6, -0.8) * 0.8)


@dataclass(frozen=True)
class Post:
    """Street furniture: `kind` is "lamp", "bollard", "signal" or one of `furniture.SIGN_KINDS`."""

    x: float
    z: float
    kind: str
    height: float
    arm: float
    color: Color

    @property
    def far(self) -> float:
        return self.z

    def draw(self, canvas: Canvas, ego_z: float) -> None:
        z = self.z - ego_z
        if self.kind == "lamp":
            furniture.draw_lamp(canvas, self.x, z, self.height, self.arm, self.color)
        elif self.kind == "bollard":
            furniture.draw_bollard(canvas, self.x, z, self.color)
        elif self.kind == "signal":
            furniture.draw_signal(canvas, self.x, z, int((ego_z // 60) % 3))
        else:
            furniture.draw_sign(canvas, self.x, z, self.height, self.kind, self.color)
