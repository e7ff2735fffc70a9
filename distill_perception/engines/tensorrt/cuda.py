"""The few calls of the CUDA runtime that the engine needs, each checked; through cuda-python, no torch."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import EngineError

try:
    from cuda.bindings import runtime as cudart
except ImportError:  # reported by find_gpu(), with the remedy
    cudart = None

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        index: CUDA's number of it.
        name: e.g. `NVIDIA GeForce RTX 3090`.
        sm: compute capability, e.g. 86 for 8.6.
        driver: newest CUDA version that its driver supports, e.g. `13.0`; many drivers share one.
    """

    index: int
    name: str
    sm: int
    driver: str


def find_gpu(device: str) -> Gpu:
    """The GPU that `gpu`, `cuda` or `cuda:N` means.

    Raises:
        EngineError: no such device, no driver, no cuda-python; with the remedy.
    """
    kind, _, index = device.partition(":")
    if kind not in ("cuda", "gpu") or not (index.isdigit() or not index):
        raise EngineError(f"it knows no device '{device}'; use cuda or cuda:N")
    if cudart is None:
        raise EngineError(
            "the cuda-python package is missing; pip install cuda-bindings (of your CUDA version)"
        )
    error, count = cudart.cudaGetDeviceCount()
    if error != cudart.cudaError_t.cudaSuccess or not count:
        raise EngineError(f"no NVIDIA GPU can be used here ({_text(error)}); check it with nvidia-smi")
    number = int(index or 0)
    if number >= count:
        raise EngineError(f"there is no device '{device}': this machine has {count} NVIDIA GPU(s)")
    properties = check(cudart.cudaGetDeviceProperties(number))
    driver = check(cudart.cudaDriverGetVersion())
    name = properties.name.decode() if isinstance(properties.name, bytes) else str(properties.name)
    sm = properties.major * 10 + properties.minor
    return Gpu(number, name.strip("\0 "), sm, f"{driver // 1000}.{driver % 1000 // 10}")


def check(result: tuple[Any, ...]) -> Any:
    """The value of a cuda-python call, `(error, value...)`.

    Raises:
        EngineError: the call failed.
    """
    error, *values = result
    if error != cudart.cudaError_t.cudaSuccess:
        raise EngineError(f"CUDA failed: {_text(error)}")
    return values[0] if values else None


def _give_back(call: Callable[[], tuple[Any, ...]]) -> None:
    """Free something; after an error on the GPU that fails too, and must not hide the error."""
    try:
        check(call())
    except EngineError as error:
        _log.warning("not freed: %s", error)


def _text(error: Any) -> str:
    _, text = cudart.cudaGetErrorString(error)
    return f"{getattr(error, 'name', error)}: {text.decode() if isinstance(text, bytes) else text}"


def pinned_array(shape: tuple[int, ...], dtype: np.dtype[Any], resources: ExitStack) -> NDArray[Any]:
    """A host array in page-locked memory, which the GPU copies by itself; freed with `resources`."""
    size = int(np.prod(shape)) * dtype.itemsize
    pointer = int(check(cudart.cudaHostAlloc(size, cudart.cudaHostAllocDefault)))
    resources.callback(_give_back, lambda: cudart.cudaFreeHost(pointer))
    memory = memoryview((ctypes.c_uint8 * size).from_address(pointer))
    return np.frombuffer(memory, dtype).reshape(shape)


def device_memory(size: int, resources: ExitStack) -> int:
    """Address of `size` bytes on the current device, freed with `resources`."""
    pointer = int(check(cudart.cudaMalloc(max(size, 1))))
    resources.callback(_give_back, lambda: cudart.cudaFree(pointer))
    return pointer


class Stream:
    """A stream of GPU work: calls return at once, the work is done in order; `wait` waits for it."""

    def __init__(self, device: int, resources: ExitStack) -> None:
        self._device = device
        self.use_device()
        self._stream = check(cudart.cudaStreamCreateWithFlags(cudart.cudaStreamNonBlocking))
        self.handle = int(self._stream)
        resources.callback(_give_back, lambda: cudart.cudaStreamDestroy(self._stream))

    def use_device(self) -> None:
        """Make the stream's GPU the calling thread's: CUDA keeps that by thread."""
        check(cudart.cudaSetDevice(self._device))

    def upload(self, source: NDArray[Any], address: int) -> None:
        """Copy a pinned array to the GPU."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        check(cudart.cudaMemcpyAsync(address, source.ctypes.data, source.nbytes, kind, self._stream))

    def download(self, address: int, target: NDArray[Any]) -> None:
        """Copy from the GPU into a pinned array."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        check(cudart.cudaMemcpyAsync(target.ctypes.data, address, target.nbytes, kind, self._stream))

    def wait(self) -> None:
        """Until all work is done; other Python threads go on."""
        check(cudart.cudaStreamSynchronize(self._stream))

    def record(self, work: Callable[[], None], resources: ExitStack) -> Any:
        """Record what `work` puts into this stream, without doing it, for `launch`.

        Raises:
            EngineError: something in it cannot be recorded; the stream is as before.
        """
        mode = (
            cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        )  # other threads are not disturbed
        check(cudart.cudaStreamBeginCapture(self._stream, mode))
        try:
            work()
        except EngineError:
            error, partial = cudart.cudaStreamEndCapture(self._stream)
            if error == cudart.cudaError_t.cudaSuccess and int(partial):
                cudart.cudaGraphDestroy(partial)
            raise
        graph = check(cudart.cudaStreamEndCapture(self._stream))
        try:
            executable = check(cudart.cudaGraphInstantiate(graph, 0))
        finally:
            check(cudart.cudaGraphDestroy(graph))
        resources.callback(_give_back, lambda: cudart.cudaGraphExecDestroy(executable))
        return executable

    def launch(self, executable: Any) -> None:
        """Do recorded work again."""
        check(cudart.cudaGraphLaunch(executable, self._stream))
