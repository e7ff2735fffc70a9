"""What a drive is: its settings, and the errors they can have."""

from __future__ import annotations

from dataclasses import dataclass

from training.errors import TrainingError

WEATHERS = ("clear", "overcast", "dusk", "fog", "rain")


class SyntheticError(TrainingError):
    """A setting or a folder that the renderer cannot work with; the message says what to change."""


@dataclass(frozen=True)
class DriveSettings:
    """One synthetic drive (or several streets, see `scenes`).

    Attributes:
        frames: number of frames over all scenes.
        seed: same settings and seed give the same bytes.
        width, height: picture size in pixels, each 64 to 4096.
        rate_hz: frames per second of the drive.
        weather: one of `WEATHERS`, or None for a seeded choice per scene.
        scenes: how many different streets the frames are spread over; equal to `frames` gives stills.

    Raises:
        SyntheticError: a value is out of its range.
    """

    frames: int = 150
    seed: int = 0
    width: int = 640
    height: int = 480
    rate_hz: float = 15.0
    weather: str | None = None
    scenes: int = 1

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise SyntheticError(f"frames is {self.frames}; ask for at least 1")
        if not 1 <= self.scenes <= self.frames:
            raise SyntheticError(f"scenes is {self.scenes}; choose 1 to {self.frames} (the number of frames)")
        if not (64 <= self.width <= 4096 and 64 <= self.height <= 4096):
            raise SyntheticError(f"size is {self.width}x{self.height}; each side must be 64 to 4096 pixels")
        if not 0.1 <= self.rate_hz <= 240:
            raise SyntheticError(f"rate is {self.rate_hz} Hz; choose 0.1 to 240")
        if self.seed < 0:
            raise SyntheticError(f"seed is {self.seed}; choose 0 or more")
        if self.weather is not None and self.weather not in WEATHERS:
            raise SyntheticError(f"weather '{self.weather}' is unknown; choose one of {', '.join(WEATHERS)}")
