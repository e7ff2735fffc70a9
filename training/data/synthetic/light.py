"""Weather as numbers: where light comes from, how far one sees, what the sky and the sensor do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Color = tuple[float, float, float]
"""Blue, green, red, 0 to 255."""


@dataclass(frozen=True)
class Light:
    """Light and air of one scene.

    Attributes:
        weather: the name it was made from.
        sun: unit vector towards the sun (x right, y up, z ahead).
        direct, ambient: brightness of a face turned to the sun, and of one turned away.
        haze: colour of distant air; visibility_m: distance at which 63 % is haze.
        zenith, horizon: sky colours; cloud: 0 clear to 1 covered.
        gain: exposure of the finished picture, per channel (BGR).
        lamps: 0 by day to 1 when lamps and windows are lit.
        wet: 0 dry to 1 raining.
        noise: sensor noise, standard deviation in grey levels.
    """

    weather: str
    sun: tuple[float, float, float]
    direct: float
    ambient: float
    haze: Color
    visibility_m: float
    zenith: Color
    horizon: Color
    cloud: float
    gain: Color
    lamps: float
    wet: float
    noise: float

    def shade(self, nx: float, ny: float, nz: float) -> float:
        """Brightness of a face with the outward normal n."""
        s = self.sun
        return self.ambient + self.direct * max(0.0, nx * s[0] + ny * s[1] + nz * s[2])


def make_light(weather: str, rng: np.random.Generator) -> Light:
    """Draw a scene's light for a named weather."""
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.35, 1.0)
    sun = (
        float(np.sin(azimuth) * np.cos(height)),
        float(np.sin(height)),
        float(np.cos(azimuth) * np.cos(height)),
    )
    up = (0.0, 1.0, 0.0)
    e = float(rng.uniform(0.88, 1.3))
    if weather == "clear":
        white = float(rng.uniform(0, 1.25))
        return Light(
            weather=weather,
            sun=sun,
            direct=0.52,
            ambient=0.66,
            haze=(232, 222, 210),
            visibility_m=420,
            zenith=(215 + 30 * white, 165 + 70 * white, 115 + 120 * white),
            horizon=(250, 242, 232),
            cloud=float(rng.uniform(0.0, 0.6)),
            gain=(e, e, e * 1.02),
            lamps=0,
            wet=0,
            noise=2.5,
        )
    if weather == "overcast":
        g = float(rng.uniform(205, 255))
        return Light(
            weather=weather,
            sun=up,
            direct=0.25,
            ambient=0.7,
            haze=(g, g * 0.98, g * 0.96),
            visibility_m=260,
            zenith=(g * 0.93, g * 0.92, g * 0.9),
            horizon=(g, g, g),
            cloud=1.0,
            gain=(e, e * 0.98, e * 0.96),
            lamps=0,
            wet=0.15,
            noise=3.0,
        )
    if weather == "dusk":
        e *= float(rng.uniform(0.5, 0.75))
        return Light(
            weather=weather,
            sun=up,
            direct=0.12,
            ambient=0.72,
            haze=(185, 175, 190),
            visibility_m=260,
            zenith=(215, 175, 150),
            horizon=(190, 195, 225),
            cloud=float(rng.uniform(0.3, 0.9)),
            gain=(e * 1.12, e, e * 0.98),
            lamps=1,
            wet=0.1,
            noise=5.0,
        )
    if weather == "fog":
        g = float(rng.uniform(185, 215))
        return Light(
            weather=weather,
            sun=up,
            direct=0.12,
            ambient=0.72,
            haze=(g, g * 0.99, g * 0.98),
            visibility_m=float(rng.uniform(45, 80)),
            zenith=(g, g, g),
            horizon=(g, g, g),
            cloud=0.2,
            gain=(e, e, e),
            lamps=0.5,
            wet=0.3,
            noise=3.0,
        )
    e *= 0.85
    return Light(
        weather=weather,
        sun=up,
        direct=0.12,
        ambient=0.7,
        haze=(188, 182, 176),
        visibility_m=130,
        zenith=(175, 168, 162),
        horizon=(200, 194, 188),
        cloud=1.0,
        gain=(e * 1.03, e, e * 0.97),
        lamps=0.4,
        wet=1.0,
        noise=4.0,
    )
