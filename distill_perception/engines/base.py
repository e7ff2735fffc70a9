"""What every engine is, and the checks they share: inputs and graphs are checked here, once."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle import GRAPH_INPUT, TASK_OUTPUTS, Bundle
from ..errors import EngineError
from ..progress import Progress, silent

Outputs = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class EngineSettings:
    """How to run a model.

    Attributes:
        precision: one of the bundle's precisions, e.g. `fp32`, or `auto` for the fastest on the device.
        device: `cpu`, or an accelerator as the engine understands it (`gpu`, `cuda:1`); kept in lower case.
        threads: CPU threads for one inference; 0 lets the engine decide.
        max_batch: most frames in one call; engines that allocate memory ahead take it for so many.
        warm_up: how often each batch size runs before the first frame; with 0 that one pays for lazy set-up.
        progress: told what takes long while the engine opens: name, done, of how much.
    """

    precision: str = "auto"
    device: str = "cpu"
    threads: int = 0
    max_batch: int = 1
    warm_up: int = 1
    progress: Progress = field(default=silent, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", self.device.lower())  # people write `CPU`, as OpenVINO does
        if self.threads < 0:
            raise EngineError(f"setting threads={self.threads} is not valid; use 0 (engine decides) or more")
        if self.max_batch < 1:
            raise EngineError(f"setting max_batch={self.max_batch} is not valid; use 1 or more")
        if self.warm_up < 0:
            raise EngineError(f"setting warm_up={self.warm_up} is not valid; use 0 (none) or more")


class Engine(ABC):
    """A loaded model. One thread at a time may call `infer`.

    Attributes:
        name: the registry's name of the engine.
        precision: the bundle's precision that is loaded.
        description: engine, version, device and precision, for people and diagnostics.
        input_size: (height, width) of the model's input.
        max_batch: most frames in one call of `infer`.
        fixed_batch: how many the graph takes at once, just so many; None if it takes any number.
    """

    name: str
    description: str

    def __init__(self, bundle: Bundle, settings: EngineSettings) -> None:
        self.max_batch = settings.max_batch
        self._warm_up_runs = settings.warm_up
        self.precision = bundle.resolve_precision(settings.precision, settings.device)
        spec = bundle.manifest.input
        self.input_size: tuple[int, int] = (spec.height, spec.width)
        self.fixed_batch = spec.batch
        self.output_names: tuple[str, ...] = tuple(
            name for task in bundle.manifest.tasks for name in TASK_OUTPUTS[task]
        )

    def infer(self, frames: NDArray[np.uint8]) -> Outputs:
        """Run the model on a batch.

        Args:
            frames: uint8 [N,H,W,3] in the model's size and channel order, 1 <= N <= max_batch.

        Returns:
            The bundle's outputs by name (see `distill_perception.bundle`). The arrays may be the engine's own
            memory: they are valid until the next call, so copy what is to be kept.

        Raises:
            EngineError: wrong dtype or shape, or the engine failed.
        """
        height, width = self.input_size
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            found = getattr(frames, "dtype", type(frames).__name__)
            raise EngineError(f"engine {self.name}: '{GRAPH_INPUT}' must be a uint8 array, found {found}")
        if frames.ndim != 4 or frames.shape[1:] != (height, width, 3) or frames.shape[0] < 1:
            raise EngineError(
                f"engine {self.name}: '{GRAPH_INPUT}' must have shape [N,{height},{width},3], "
                f"found {list(frames.shape)}"
            )
        if frames.shape[0] > self.max_batch:
            raise EngineError(
                f"engine {self.name}: was opened for {self.max_batch} frame(s) at once, "
                f"found {frames.shape[0]}; "
                "open it with a larger EngineSettings.max_batch"
            )
        if self.fixed_batch is not None and self.fixed_batch != frames.shape[0]:
            return self._run_in_turns(frames, self.fixed_batch)
        return self._run(np.ascontiguousarray(frames))

    def warm_up(self) -> None:
        """Run every batch size as often as the settings say: lazy set-up is not the first frame's to pay.

        `open_engine` does it.

        Raises:
            EngineError: the engine failed, as where memory is short.
        """
        for size in range(1, self.max_batch + 1):
            for _ in range(self._warm_up_runs):
                self.infer(np.zeros((size, *self.input_size, 3), np.uint8))

    def _run_in_turns(self, frames: NDArray[np.uint8], batch: int) -> Outputs:
        """As many runs of `batch` frames as are needed; the last is filled up with black ones."""
        parts = []
        for start in range(0, len(frames), batch):
            chunk = np.zeros((batch, *frames.shape[1:]), np.uint8)
            count = min(batch, len(frames) - start)
            chunk[:count] = frames[start : start + count]
            parts.append({name: value[:count].copy() for name, value in self._run(chunk).items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in self.output_names}

    @abstractmethod
    def _run(self, frames: NDArray[np.uint8]) -> Outputs:
        """Run the model on checked, contiguous frames; on `fixed_batch` of them, if that is set."""

    @abstractmethod
    def close(self) -> None:
        """Free the model; calling it twice is harmless. `infer` raises EngineError afterwards."""

    def _closed(self) -> EngineError:
        return EngineError(f"engine {self.name}: is closed; open it again with open_engine()")
