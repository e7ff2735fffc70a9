"""A GPU made of host memory, for the order of the calls around a real one.

Work put into a stream is done when the stream is waited for; while it is captured it is only noted, and done
anew at every launch. What is allocated is counted until it is freed, and using it afterwards is an error.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

OK = 0
BROKEN = 700


class FakeCuda:
    """`cuda.bindings.runtime`, as far as it is used. `live` has what is not freed yet, `calls` every call."""

    cudaError_t = SimpleNamespace(cudaSuccess=OK)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="up", cudaMemcpyDeviceToHost="down")
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal="thread")
    cudaHostAllocDefault = 0
    cudaStreamNonBlocking = 1

    def __init__(self, gpus: int = 1) -> None:
        self.gpus = gpus
        self.calls: list[str] = []
        self.live: dict[int, Any] = {}
        self.pending: list[Callable[[], None]] = []
        self.recording: list[Callable[[], None]] | None = None
        self.fail = ""  # name of the call that fails

    def put(self, work: Callable[[], None]) -> None:
        """Put work into the stream."""
        (self.pending if self.recording is None else self.recording).append(work)

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name.startswith("cuda") and callable(found):
            self.calls.append(name)
            if name == self.fail:
                return lambda *args: (BROKEN, None)
        return found

    def cudaGetErrorString(self, error: int) -> tuple[int, bytes]:
        return OK, f"error {error}".encode()

    def cudaGetDeviceCount(self) -> tuple[int, int]:
        return OK, self.gpus

    def cudaGetDeviceProperties(self, index: int) -> tuple[int, Any]:
        return OK, SimpleNamespace(name=b"Fake GPU\0\0", major=8, minor=6)

    def cudaDriverGetVersion(self) -> tuple[int, int]:
        return OK, 13020

    def cudaSetDevice(self, index: int) -> tuple[int]:
        return (OK,)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[int, int]:
        return OK, self._new("stream")

    def cudaStreamDestroy(self, stream: int) -> tuple[int]:
        return self._free(stream)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[int, int]:
        return OK, self._memory(size)

    cudaFreeHost = cudaFree = cudaGraphDestroy = cudaGraphExecDestroy = cudaStreamDestroy

    def cudaMalloc(self, size: int) -> tuple[int, int]:
        return OK, self._memory(size)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: str, stream: int) -> tuple[int]:
        self.put(lambda: ctypes.memmove(target, source, size) and None)
        return (OK,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[int]:
        assert self.recording is None, "waiting is not allowed while capturing"
        work, self.pending = self.pending, []
        for item in work:
            item()
        return (OK,)

    def cudaStreamBeginCapture(self, stream: int, mode: str) -> tuple[int]:
        self.recording = []
        return (OK,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[int, int]:
        work, self.recording = self.recording, None
        return OK, self._new(work)

    def cudaGraphInstantiate(self, graph: int, flags: int) -> tuple[int, int]:
        return OK, self._new(self.live[graph])

    def cudaGraphLaunch(self, executable: int, stream: int) -> tuple[int]:
        self.pending.extend(self.live[executable])
        return (OK,)

    def _new(self, what: Any) -> int:
        number = 10_000 + len(self.calls)
        self.live[number] = what
        return number

    def _memory(self, size: int) -> int:
        memory = (ctypes.c_uint8 * size)()
        address = ctypes.addressof(memory)
        self.live[address] = memory
        return address

    def _free(self, what: int) -> tuple[int]:
        del self.live[what]
        return (OK,)


class FakeTrtEngine:
    """An engine whose `mask` is the largest channel and whose `confidence` is that channel's value."""

    device_memory_size_v2 = 64
    num_io_tensors = 3
    names = ("images", "mask", "confidence")

    def __init__(self, cuda: FakeCuda, height: int, width: int, capturable: bool = True) -> None:
        self.cuda, self.size, self.capturable = cuda, (height, width), capturable

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_dtype(self, name: str) -> type[np.uint8]:
        return np.uint8

    def create_execution_context(self, strategy: str) -> FakeContext:
        assert strategy == "user managed"
        return FakeContext(self)


class FakeContext:
    """TensorRT ties a captured graph to its context: changing the shape afterwards is an error here."""

    def __init__(self, engine: FakeTrtEngine) -> None:
        self.engine = engine
        self.addresses: dict[str, int] = {}
        self.count = self.runs = 0
        self.captured = False

    def set_device_memory(self, address: int, size: int) -> None:
        assert len(self.engine.cuda.live[address]) >= size

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert not self.captured
        self.count = shape[0]
        return shape[1:] == (*self.engine.size, 3)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (self.count, *self.engine.size, *((3,) if name == "images" else ()))

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        cuda = self.engine.cuda
        if cuda.recording is not None:
            assert self.runs, "TensorRT must have run once before it is captured"
            self.captured = True
            if not self.engine.capturable:
                return False
        self.runs += 1
        cuda.put(self._compute)
        return True

    def _compute(self) -> None:
        images, mask, confidence = (self._view(name) for name in FakeTrtEngine.names)
        mask[:] = images.argmax(3)
        confidence[:] = images.max(3)

    def _view(self, name: str) -> np.ndarray:
        shape = self.get_tensor_shape(name)
        memory = self.engine.cuda.live[self.addresses[name]]
        return np.frombuffer(memory, np.uint8, int(np.prod(shape))).reshape(shape)


def fake_trt() -> Any:
    """The parts of the `tensorrt` module that running an engine needs."""

    class Logger:
        ERROR, INTERNAL_ERROR, WARNING = range(3)

    return SimpleNamespace(
        ILogger=Logger,
        Runtime=lambda logger: SimpleNamespace(),
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="user managed"),
        nptype=lambda dtype: dtype,
    )
