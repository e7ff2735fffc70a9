"""Renders drives: one street at a time, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.synthetic.boxes import Box, boxes_from_ids
from training.data.synthetic.camera import Camera
from training.data.synthetic.canvas import Canvas
from training.data.synthetic.classes import VOID
from training.data.synthetic.ground import Ground
from training.data.synthetic.lens import Lens
from training.data.synthetic.light import make_light
from training.data.synthetic.settings import WEATHERS, DriveSettings
from training.data.synthetic.shadows import cast_shadows
from training.data.synthetic.sky import Sky
from training.data.synthetic.street import make_street
from training.data.synthetic.things import Thing
from training.data.synthetic.traffic import Actor, make_actors

VIEW_M = 130.0


@dataclass(frozen=True)
class Frame:
    """One rendered frame.

    Attributes:
        image: uint8 [H,W,3] BGR.
        mask: uint8 [H,W] class ids, 11 where undefined.
        boxes: one for each visible car, pedestrian and cyclist.
        scene: number of the street, from 0.
        weather: the weather there.
        time_s: seconds since the scene's first frame.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    boxes: list[Box]
    scene: int
    weather: str
    time_s: float


def render_drive(settings: DriveSettings) -> Iterator[Frame]:
    """Render all frames of a drive; the same settings give the same bytes."""
    share, extra = divmod(settings.frames, settings.scenes)
    for number in range(settings.scenes):
        scene = Scene(settings, number, share + (number < extra))
        for index in range(scene.frames):
            yield scene.render(index)


class Scene:
    """One street with its weather, camera and traffic."""

    def __init__(self, settings: DriveSettings, number: int, frames: int) -> None:
        rng = np.random.default_rng([settings.seed, number])
        self.number, self.frames, self.rate_hz = number, frames, settings.rate_hz
        weather = settings.weather or str(rng.choice(WEATHERS, p=[0.42, 0.27, 0.13, 0.08, 0.10]))
        self.light = make_light(weather, rng)
        duration = frames / settings.rate_hz
        self.speed, self.start_z = float(rng.uniform(4, 10)), float(rng.uniform(0, 30))
        length = self.start_z + self.speed * duration + VIEW_M + 10
        self.street = make_street(rng, self.light, length)
        cross = self.street.cross
        keep = -1 if rng.random() < 0.7 else 1
        self.actors = make_actors(
            rng,
            cross,
            self.street.junctions,
            self.street.style,
            keep,
            self.start_z,
            self.speed,
            length,
            duration,
        )
        self.ground = Ground(cross, self.street.junctions, length, rng)
        self.sky = Sky(self.light, rng, self.street.built)
        self.lens = Lens(self.light, settings.width, settings.height, rng)
        self.size = (settings.width, settings.height)
        self.focal = settings.width * float(rng.uniform(0.75, 1.15))
        self.horizon = settings.height * float(rng.uniform(0.38, 0.55))
        self.centre = settings.width * float(rng.uniform(0.42, 0.58))
        self.mount = float(rng.uniform(1.15, 1.75))
        lane = cross.half_road / 2 - 0.3 if cross.half_road < 5.8 else cross.half_road / 3
        self.lateral = keep * (lane + float(rng.uniform(-0.3, 0.3)))
        self.bend, self.bend_phase = float(rng.normal(0, 0.0011)), float(rng.uniform(0, 6.28))
        self.bonnet = bool(rng.random() < 0.12)

    def camera(self, time_s: float) -> Camera:
        """The camera at a time: it sways and nods a little, and the road bends slowly."""
        travelled = self.speed * time_s
        bend = self.bend * (1 + 0.8 * np.sin(travelled / 55 + self.bend_phase))
        nod = 0.0016 * np.sin(time_s * 7.1) + 0.0022 * np.sin(time_s * 2.3 + 1)
        sway = 0.003 * np.sin(time_s * 1.1) + bend * 6
        drift = 0.15 * np.sin(time_s * 0.45)
        return Camera(
            self.size[0],
            self.size[1],
            self.focal,
            float(self.centre - self.focal * sway),
            float(self.horizon + self.focal * nod),
            self.mount,
            float(self.lateral + drift),
            float(bend),
        )

    def render(self, index: int) -> Frame:
        """Draw frame `index` of the scene."""
        time_s = index / self.rate_hz
        ego_z = self.start_z + self.speed * time_s
        canvas = Canvas(self.camera(time_s), self.light)
        self.draw(canvas, ego_z, time_s)
        image = self.lens.expose(canvas)
        mask = (canvas.ids & 15).astype(np.uint8)
        return Frame(image, mask, boxes_from_ids(canvas.ids), self.number, self.light.weather, time_s)

    def draw(self, canvas: Canvas, ego_z: float, time_s: float) -> None:
        """Paint sky, ground and everything in view, far to near."""
        view = VIEW_M if self.light.visibility_m > 100 else 95.0
        self.sky.draw(canvas, canvas.camera.bend * canvas.camera.focal * 60)
        self.ground.draw(canvas, ego_z)
        things = [t for t in self.street.things if -1.5 < t.far - ego_z < view]
        actors = []
        for actor in self.actors:
            x, z = actor.place(time_s)
            ahead = z - ego_z
            indoors = actor.kind != "vehicle" and abs(x) > self.street.cross.pavement
            if not indoors and _in_view(canvas.camera, actor.kind, x, ahead, view):
                actors.append((ahead, actor))
        shadows = cast_shadows(canvas, ego_z, time_s, things, [a for _, a in actors])
        self.ground.finish(canvas, ego_z, shadows)
        order: list[tuple[float, int, Thing | Actor]] = [(t.far - ego_z, 0, t) for t in things]
        order += [(z, number, actor) for number, (z, actor) in enumerate(actors, start=1)]
        for _, number, item in sorted(order, key=lambda entry: (-entry[0], entry[1])):
            if isinstance(item, Actor):
                item.draw(canvas, number, ego_z, time_s)
            else:
                item.draw(canvas, ego_z)
        if self.bonnet:
            w, h = self.size
            oval = ((int(w * 0.48), int(h * 1.03)), (int(w * 0.62), int(h * 0.12)))
            cv2.ellipse(canvas.image, *oval, 0, 0, 360, (52, 48, 46), -1, cv2.LINE_AA)
            cv2.ellipse(canvas.ids, *oval, 0, 0, 360, VOID, -1)


def _in_view(camera: Camera, kind: str, x: float, ahead: float, view: float) -> bool:
    """Whether any of an actor may show: it is within the view's depth and not far to one side."""
    if kind != "vehicle":
        if not 0.8 < ahead < min(view, 95.0):
            return False
        u, room = camera.project(x, 0.0, ahead)[0], camera.focal / ahead
    elif not -4.5 < ahead < view:
        return False
    elif ahead < 6:
        return True
    else:
        u, room = camera.project(x, 0.0, ahead)[0], 6 * camera.focal / (ahead - 5)
    return -room < u < camera.width + room
