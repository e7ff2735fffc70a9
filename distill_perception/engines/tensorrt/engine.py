"""A TensorRT engine at work: one CUDA stream, memory allocated once, a CUDA graph for each batch size."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...bundle import GRAPH_INPUT, Bundle
from ...errors import EngineError
from ...progress import Progress
from ..base import Engine, EngineSettings, Outputs
from .build import BuildRequest, build_engine
from .cuda import Gpu, Stream, device_memory, find_gpu, pinned_array
from .library import Library, find_library, make_logger, start
from .store import EngineStore
from .targets import targets_of

_log = logging.getLogger(__name__)


def problem(device: str) -> str | None:
    """Why TensorRT cannot serve `device` (`cuda`, `cuda:N`) here; None when it can."""
    try:
        find_gpu(device)
        find_library()
    except EngineError as error:
        return str(error)
    return None


def open_model(bundle: Bundle, settings: EngineSettings) -> Engine:
    """Load a bundle's model: from a cached engine, or by building one (seconds to minutes)."""
    return TensorRtEngine(bundle, settings)


@dataclass(frozen=True)
class _Tensor:
    """An input or output: pinned host array [max_batch, ...] and the GPU's memory of that size."""

    name: str
    host: NDArray[Any]
    address: int


class _Batch:
    """Work for one batch size; a context of its own, as a recorded graph is tied to its context's state."""

    def __init__(self, context: Any, inputs: NDArray[Any], outputs: Outputs) -> None:
        self.context = context
        self.inputs = inputs
        self.outputs = outputs
        self.graph: Any = None


class TensorRtEngine(Engine):
    """A deserialized engine. Arrays that `infer` returns are pinned memory, gone after `close`."""

    name = "tensorrt"

    def __init__(self, bundle: Bundle, settings: EngineSettings) -> None:
        super().__init__(bundle, settings)
        self._library = find_library()
        gpu = find_gpu(settings.device)
        self._resources = ExitStack()
        self._engine: Any = None
        try:
            self._open(bundle, settings, gpu)
        except BaseException:
            self.close()
            raise
        self.description = f"tensorrt ({self._library}), {gpu.name}, {settings.device}, {self.precision}"

    def _open(self, bundle: Bundle, settings: EngineSettings, gpu: Gpu) -> None:
        self._stream = Stream(gpu.index, self._resources)
        self._store = EngineStore()
        request = BuildRequest(bundle, self.precision, self.max_batch)
        self._logger = make_logger(self._library)
        self._runtime = start(self._library.trt.Runtime, self._logger, self._library)
        self._engine = load_engine(
            request, self._library, gpu, self._store, self._deserialize, settings.progress
        )
        self._kernels_name = f"{request.key(self._library, gpu).id}.kernels"
        self._runtime_config = self._make_runtime_config()
        self._scratch_size = int(self._engine.device_memory_size_v2)
        self._scratch = device_memory(self._scratch_size, self._resources)
        self._batches: dict[int, _Batch] = {}
        self._tensors: dict[str, _Tensor] = {}
        context = self._make_context(self.fixed_batch or self.max_batch)
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            shape = tuple(context.get_tensor_shape(name))
            if min(shape) < 0:
                raise EngineError(
                    f"engine tensorrt: output '{name}' has a size that depends on the data: {shape}"
                )
            dtype = np.dtype(self._library.trt.nptype(self._engine.get_tensor_dtype(name)))
            host = pinned_array(shape, dtype, self._resources)
            self._tensors[name] = _Tensor(name, host, device_memory(host.nbytes, self._resources))
        self._resources.callback(self._drop_engine)

    def _deserialize(self, content: bytes, host_code: bool) -> Any:
        """None if the library does not take it."""
        self._runtime.engine_host_code_allowed = host_code
        return self._runtime.deserialize_cuda_engine(content)

    def _make_runtime_config(self) -> Any:
        """RTX compiles kernels when it starts; it is given those of the last start."""
        if not self._library.is_rtx:
            return None
        trt, config = self._library.trt, self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        strategies = trt.DynamicShapesKernelSpecializationStrategy
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        self._kernels = config.create_runtime_cache()
        self._kernels_before = self._store.read_extra(self._kernels_name) or b""
        if self._kernels_before and not self._kernels.deserialize(self._kernels_before):
            _log.info("compiled kernels of the last start do not fit any more; compiling them again")
        config.set_runtime_cache(self._kernels)
        return config

    def _make_context(self, count: int) -> Any:
        """A context for `count` frames; all contexts share the scratch memory, as one works at a time."""
        if self._runtime_config is not None:
            context = self._engine.create_execution_context(runtime_config=self._runtime_config)
        else:
            strategy = self._library.trt.ExecutionContextAllocationStrategy.USER_MANAGED
            context = self._engine.create_execution_context(strategy)
        if context is None:
            raise self._failed("make an execution context")
        context.set_device_memory(self._scratch, self._scratch_size)
        if not context.set_input_shape(GRAPH_INPUT, (count, *self.input_size, 3)):
            raise self._failed(f"take {count} frames at once")
        return context

    def _keep_kernels(self) -> None:
        """Kernels that RTX has newly compiled, for the next start."""
        if self._runtime_config is not None:
            kernels = bytes(self._kernels.serialize())
            if kernels != self._kernels_before:
                self._store.write_extra(self._kernels_name, kernels)
                self._kernels_before = kernels

    def _run(self, frames: NDArray[np.uint8]) -> Outputs:
        if self._engine is None:
            raise self._closed()
        self._stream.use_device()
        count = frames.shape[0]
        batch = self._batches.get(count)
        if batch is None:
            batch = self._batches[count] = self._prepare(count)
            self._keep_kernels()
        np.copyto(batch.inputs, frames)
        if batch.graph is not None:
            self._stream.launch(batch.graph)
        else:
            self._enqueue(batch)
        self._stream.wait()
        return batch.outputs

    def _prepare(self, count: int) -> _Batch:
        """Set a context up for this batch size and record its work."""
        context = self._make_context(count)
        for tensor in self._tensors.values():
            context.set_tensor_address(tensor.name, tensor.address)
        outputs = {name: self._tensors[name].host[:count] for name in self.output_names}
        batch = _Batch(context, self._tensors[GRAPH_INPUT].host[:count], outputs)
        self._enqueue(batch)  # TensorRT finishes its set-up in the first run, which must not be recorded
        self._stream.wait()
        if self._library.is_rtx and not context.is_stream_capturable(self._stream.handle):
            _log.info("batches of %d run without a CUDA graph: %s cannot record them", count, self._library)
            return batch
        try:
            batch.graph = self._stream.record(lambda: self._enqueue(batch), self._resources)
        except EngineError as error:
            _log.info("batches of %d run without a CUDA graph: %s", count, error)
        return batch

    def _enqueue(self, batch: _Batch) -> None:
        self._stream.upload(batch.inputs, self._tensors[GRAPH_INPUT].address)
        if not batch.context.execute_async_v3(self._stream.handle):
            raise self._failed("run the model")
        for name, host in batch.outputs.items():
            self._stream.download(self._tensors[name].address, host)

    def close(self) -> None:
        if self._engine is not None:
            try:
                self._stream.use_device()
            except EngineError as error:  # after an error on the GPU; there is no more to do than to go on
                _log.warning("closing: %s", error)
        self._resources.close()  # the other way round: graphs, engine, memory, stream

    def _drop_engine(self) -> None:
        """Contexts before their engine, engine before its runtime."""
        self._batches = {}
        self._runtime_config = self._kernels = None
        self._engine = None
        self._runtime = None

    def _failed(self, what: str) -> EngineError:
        reason = self._logger.errors[-1] if self._logger.errors else "it gave no reason"
        return EngineError(f"{self._library} failed to {what}: {reason}")


def load_engine(
    request: BuildRequest,
    library: Library,
    gpu: Gpu,
    store: EngineStore,
    deserialize: Callable[[bytes, bool], Any],
    progress: Progress,
) -> Any:
    """Deserialize the stored engine for this GPU, or build one: when there is none, when it is not to be
    trusted, or when the library refuses it.

    Args:
        deserialize: `(content, host_code)` -> engine or None; host code is allowed to those engines of the
            store that bring a runtime of their own (version-compatible ones).
    """
    key = request.key(library, gpu)
    entry = store.find(key, targets_of(library, gpu))
    if entry is not None and (content := store.read(entry)) is not None:
        engine = deserialize(content, entry.key.version_compatible)
        if engine is not None:
            _log.info("engine loaded from %s", entry.path)
            return engine
        _log.warning("%s: %s does not take it any more; building it again", entry.path, library)
    content = build_engine(request, key, library, store, progress)
    engine = deserialize(content, key.version_compatible)
    if engine is None:
        raise EngineError(
            f"{library} does not load the engine that it has just built from {request.bundle.path}"
        )
    return engine
