"""A bundle in an engine: camera frames in, masks and detections in camera pixels out. No ROS here."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .engines import Engine
from .errors import ConfigError
from .vision.boxes import Detection, decode
from .vision.color import check_picture, convert, needs_conversion, shares_colours
from .vision.geometry import PAD_VALUE, Letterbox, Size, resize

__all__ = ["Detection", "Frame", "MaskResolution", "Perception", "Perceptor", "Timings"]

MaskResolution = Literal["camera", "model"]


@dataclass(frozen=True, eq=False)
class Frame:
    """A camera picture: uint8 [H,W] (mono8) or [H,W,3|4] as its ROS encoding says; checked when made.

    The pixels may be a read-only or strided view; they are never written.

    Raises:
        ImageError: dtype, shape and encoding do not belong together.
    """

    pixels: NDArray[np.uint8]
    encoding: str = "bgr8"

    def __post_init__(self) -> None:
        check_picture(self.pixels, self.encoding)

    @property
    def size(self) -> Size:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True)
class Timings:
    """Time spent on the batch that a frame was in, by stage."""

    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float


@dataclass(frozen=True, eq=False)
class Perception:
    """What was seen in one frame.

    Attributes:
        mask: uint8 [H,W] class ids, None when the bundle does not segment.
        confidence: uint8 [H,W] largest class probability x 255, None unless asked for.
        detections: best first, in camera pixels; empty when the bundle does not detect.
        timings: of the frame's batch.
    """

    mask: NDArray[np.uint8] | None
    confidence: NDArray[np.uint8] | None
    detections: tuple[Detection, ...]
    timings: Timings


class Perceptor:
    """Resizes into reused buffers, infers all frames as one batch, carries results back to camera pixels."""

    def __init__(self, bundle: Bundle, engine: Engine, score_threshold: float = 0.3) -> None:
        self.bundle = bundle
        self.engine = engine
        self.score_threshold = score_threshold
        self.mask_resolution = "camera"
        self._input = bundle.manifest.input
        self._lock = threading.Lock()
        self._buffer = np.empty((0, self._input.height, self._input.width, 3), np.uint8)
        self._layout: list[Letterbox | None] = []  # what each row of the buffer was last padded for
        self._scratch: dict[tuple[int, ...], NDArray[np.uint8]] = {}

    @property
    def score_threshold(self) -> float:
        """Lowest score of a detection; may change while running."""
        return self._score_threshold

    @score_threshold.setter
    def score_threshold(self, value: float) -> None:
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"score_threshold must be between 0 and 1, found {value}")
        self._score_threshold = value

    @property
    def mask_resolution(self) -> MaskResolution:
        """`camera`: masks have the picture's size; `model`: the size the picture has in the model's input."""
        return self._mask_resolution

    @mask_resolution.setter
    def mask_resolution(self, value: MaskResolution) -> None:
        if value not in ("camera", "model"):
            raise ConfigError(f"mask_resolution must be 'camera' or 'model', found '{value}'")
        self._mask_resolution: MaskResolution = value

    def perceive(self, frames: Sequence[Frame], want_confidence: bool = False) -> list[Perception]:
        """See a batch of frames, which may differ in size and encoding; the results share no memory with it.

        Raises:
            EngineError: the engine failed.
        """
        if not frames:
            return []
        with self._lock:
            start = time.perf_counter()
            batch, boxes = self._preprocess(frames)
            inferring = time.perf_counter()
            outputs = self.engine.infer(batch)
            inferred = time.perf_counter()
            seen = [self._postprocess(outputs, i, box, want_confidence) for i, box in enumerate(boxes)]
            end = time.perf_counter()
        timings = Timings((inferring - start) * 1e3, (inferred - inferring) * 1e3, (end - inferred) * 1e3)
        return [Perception(mask, confidence, detections, timings) for mask, confidence, detections in seen]

    def close(self) -> None:
        """Free the engine; calling it twice is harmless."""
        with self._lock:
            self.engine.close()

    def _preprocess(self, frames: Sequence[Frame]) -> tuple[NDArray[np.uint8], list[Letterbox]]:
        count = len(frames)
        if count > len(self._layout):
            self._buffer = np.empty((count, *self._buffer.shape[1:]), np.uint8)
            self._layout = [None] * count
        boxes = []
        for index, frame in enumerate(frames):
            box = Letterbox.fit(frame.size, (self._input.height, self._input.width), self._input.resize)
            if box != self._layout[index]:
                if not box.fills_target:
                    self._buffer[index].fill(PAD_VALUE)
                self._layout[index] = box
            self._place(frame, box, box.content(self._buffer[index]))
            boxes.append(box)
        return self._buffer[:count], boxes

    def _place(self, frame: Frame, box: Letterbox, out: NDArray[np.uint8]) -> None:
        """Resize first, then swap channels on the small picture: the big one is read once."""
        order = self._input.channel_order
        size = (box.height, box.width)
        pixels, encoding = frame.pixels, frame.encoding
        if shares_colours(encoding) and frame.size != size:
            pixels, encoding = convert(pixels, encoding, order), f"{order}8"
        if frame.size == size:
            convert(pixels, encoding, order, out)
        elif not needs_conversion(encoding, order):
            resize(pixels, size, out)
        else:
            shape = (*size, *pixels.shape[2:])
            scratch = self._scratch.get(shape)
            if scratch is None:
                scratch = self._scratch[shape] = np.empty(shape, np.uint8)
            convert(resize(pixels, size, scratch), encoding, order, out)

    def _postprocess(
        self, outputs: dict[str, NDArray[Any]], index: int, box: Letterbox, want_confidence: bool
    ) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None, tuple[Detection, ...]]:
        mask = confidence = None
        detections: tuple[Detection, ...] = ()
        if "mask" in outputs:
            mask = self._picture(outputs["mask"][index], box)
            if want_confidence:
                confidence = self._picture(outputs["confidence"][index], box)
        if "boxes" in outputs:
            detections = decode(
                outputs["boxes"][index],
                outputs["scores"][index],
                outputs["labels"][index],
                box,
                self.score_threshold,
                len(self.bundle.manifest.classes),
            )
        return mask, confidence, detections

    def _picture(self, picture: NDArray[np.uint8], box: Letterbox) -> NDArray[np.uint8]:
        """Always a copy: the engine's outputs are its own memory."""
        size = box.source if self.mask_resolution == "camera" else (box.height, box.width)
        return box.mask_to_camera(picture, size)
