"""From a bundle's ONNX file to a serialized engine; one path for TensorRT 10, 11 and RTX.

Networks are strongly typed: the precision of every layer is the one that the ONNX file gives it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...bundle import GRAPH_INPUT, Bundle, TensorSpec, check_graph, sha256_of
from ...errors import EngineError
from ...progress import Progress
from .cuda import Gpu
from .dialect import to_tensorrt
from .library import Library, make_logger, start
from .store import EngineKey, EngineStore
from .targets import THIS_GPU, apply_target, has_float8, stored_target

if TYPE_CHECKING:
    import onnx

_log = logging.getLogger(__name__)

WORK = "building engine"  # the progress's name


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    Attributes:
        bundle: where from.
        precision: one of the bundle's.
        max_batch: frames at once, at most.
        target: `this-gpu`, `ampere+`, `sm86`, ... (see `targets.py`).
        version_compatible: newer versions of the library may run it too; may be slower (not for RTX).
    """

    bundle: Bundle
    precision: str
    max_batch: int = 1
    target: str = THIS_GPU
    version_compatible: bool = False

    def key(self, library: Library, gpu: Gpu | None) -> EngineKey:
        """The key of the engine to be built, or to be looked for.

        Raises:
            EngineError: this library cannot build such an engine here.
            BundleError: the bundle has no such precision.
        """
        if self.version_compatible and library.is_rtx:
            raise EngineError(
                f"{library} makes no version-compatible engines; build without that option for each version "
                "(it takes seconds), or use tensorrt"
            )
        target = stored_target(self.target, library, gpu)
        if self.precision == "fp8" and not has_float8(target):
            raise EngineError(
                f"target '{target}': FP8 needs Ada, Hopper or newer; choose another precision, or a target "
                "such as sm89"
            )
        spec = self.bundle.manifest.input
        return EngineKey(
            sha256_of(self.bundle.model_path(self.precision)),
            self.precision,
            library.name,
            library.version,
            target,
            (spec.height, spec.width),
            spec.batch or self.max_batch,
            self.version_compatible,
        )


def build_engine(
    request: BuildRequest,
    key: EngineKey,
    library: Library,
    store: EngineStore,
    progress: Progress,
    must_keep: bool = False,
    tell_layers: Callable[[str], None] | None = None,
) -> bytes:
    """Build an engine and keep it in the store, where that can be written.

    Args:
        request: what to build.
        key: the request's key.
        library: what builds it.
        store: where the engine goes, and where measured timings of earlier builds come from.
        progress: told the percentage.
        must_keep: raise OSError if the store cannot be written, or nothing in it would be used.
        tell_layers: told the built engine's layers, a line each, if the library tells.

    Raises:
        EngineError: TensorRT cannot parse or build the graph; names the operators that it lacks.
        BundleError: the graph does not keep the contract.
    """
    if must_keep:
        store.require_folder()
    file = request.bundle.model_path(request.precision)
    started = time.monotonic()
    _log.info("building a %s engine for %s from %s ...", library, key.target, file)
    logger = make_logger(library, tell_layers)
    builder = start(library.trt.Builder, logger, library)
    network, parser = _parse(request.bundle, file, library, builder, logger)
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    fewest = request.bundle.manifest.input.batch or 1
    least, most = ((count, *key.shape, 3) for count in (fewest, key.max_batch))
    profile.set_shape(GRAPH_INPUT, least, most, most)
    config.add_optimization_profile(profile)
    apply_target(config, key.target, library)
    flags = library.trt.BuilderFlag
    config.set_flag(flags.SPARSE_WEIGHTS)  # weights of the 2:4 pattern may take sparse kernels
    if key.version_compatible:
        config.set_flag(flags.VERSION_COMPATIBLE)
    if tell_layers is not None:
        config.profiling_verbosity = library.trt.ProfilingVerbosity.DETAILED
    if hasattr(flags, "REQUIRE_USER_ALLOCATION"):  # RTX: else the stream could not be captured
        config.set_flag(flags.REQUIRE_USER_ALLOCATION)
    timings = None if library.is_rtx else _Timings(store, key, config)
    monitor = _make_monitor(library, progress)
    config.progress_monitor = monitor
    built = builder.build_serialized_network(network, config)
    if monitor.error is not None:
        raise monitor.error
    if built is None:
        raise EngineError(f"{library} cannot build {file}: {_reason(logger.errors)}")
    progress(WORK, 100, 100)
    content = bytes(built)
    if timings is not None:
        timings.keep()
    _log.info("engine built in %.1f s, %.1f MB", time.monotonic() - started, len(content) / 1e6)
    try:
        store.write(key, content, request.bundle.manifest.name)
    except OSError as error:
        if must_keep:
            raise
        _log.warning("the engine cannot be kept, so the next start builds it again: %s", error)
    del parser  # the network's weights are the parser's memory until here
    return content


def _parse(bundle: Bundle, file: Path, library: Library, builder: Any, logger: Any) -> tuple[Any, Any]:
    """Fill a network from the ONNX file; the parser must live as long as the network."""
    model = _translated(bundle, file, library)
    typed = 1 << int(library.trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(typed)
    parser = library.trt.OnnxParser(network, logger)
    missing: dict[str, str] = {}
    for node in model.graph.node:
        if not parser.supports_operator(node.op_type):
            missing.setdefault(node.op_type, node.name)
    if missing:
        raise EngineError(_unsupported(library, file, missing))
    if not parser.parse(model.SerializeToString()):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        refused = {error.node_operator(): error.node_name() for error in errors if error.node_operator()}
        detail = _reason([" ".join(error.desc().split()) for error in errors] or logger.errors)
        raise EngineError(_unsupported(library, file, refused) + f": {detail}")
    return network, parser


def _translated(bundle: Bundle, file: Path, library: Library) -> onnx.ModelProto:
    try:
        import onnx
    except ImportError as error:
        raise EngineError("building TensorRT engines needs the onnx package; pip install onnx") from error
    try:
        model = onnx.load(str(file))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and onnx's own share no base class
        text = str(error).strip().split("\n", 1)[0]
        raise EngineError(f"tensorrt cannot read {file}: {text or type(error).__name__}") from error
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    inputs, outputs = ([_spec(item) for item in part] for part in (model.graph.input, model.graph.output))
    check_graph(bundle.manifest, inputs, outputs, metadata)
    return to_tensorrt(model)


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    from onnx import helper

    tensor = value.type.tensor_type
    dims = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return TensorSpec(value.name, helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, dims)


def _unsupported(library: Library, file: Path, nodes: Mapping[str, str]) -> str:
    named = ", ".join(f"operator {operator} (node '{node}')" for operator, node in nodes.items())
    return f"tensorrt cannot run {file}: {library} does not take {named or 'its graph'}; use another engine"


def _reason(errors: list[str]) -> str:
    return errors[0] if errors else "it gave no reason"


class _Timings:
    """Kernel timings of earlier builds for the same GPU and version: most of a build's time."""

    def __init__(self, store: EngineStore, key: EngineKey, config: Any) -> None:
        self._store, self._name = store, f"{key.library}-{key.version}-{_word(key.target)}.timing"
        self._cache = config.create_timing_cache(store.read_extra(self._name) or b"")
        config.set_timing_cache(self._cache, False)

    def keep(self) -> None:
        self._store.write_extra(self._name, bytes(self._cache.serialize()))


def _word(text: str) -> str:
    return "".join(char if char.isalnum() or char in ".+" else "_" for char in text)


class BuildProgress:
    """How much of a build is done, from TensorRT's nested phases: each is a step of the one around it."""

    def __init__(self) -> None:
        self._phases: dict[str, list[Any]] = {}  # name -> [parent, steps, steps done], outermost first
        self._share = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of so many steps begins inside another."""
        self._phases[name] = [parent, max(steps, 1), 0]

    def step(self, name: str, index: int) -> None:
        """A phase has done the step of this index."""
        if name in self._phases:
            self._phases[name][2] = index + 1

    def finish(self, name: str) -> None:
        """A phase is over."""
        self._phases.pop(name, None)

    @property
    def percent(self) -> int:
        """0 to 100, never falling."""
        share, width, inside = 0.0, 1.0, None
        for name, (parent, steps, done) in self._phases.items():
            if parent == inside:
                share += width * min(done / steps, 1.0)
                width, inside = width / steps, name
        self._share = max(self._share, min(share, 1.0))
        return int(100 * self._share)


def _make_monitor(library: Library, progress: Progress) -> Any:
    trt = library.trt

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc,name-defined]  # a base that exists at run time only
        """No exception may leave its methods: C++ calls them."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.error: BaseException | None = None
            self._state = BuildProgress()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._state.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                self._state.step(phase_name, step)
                progress(WORK, self._state.percent, 100)
            except BaseException as error:  # Ctrl-C above all
                self.error = error
            return self.error is None

        def phase_finish(self, phase_name: str) -> None:
            self._state.finish(phase_name)

    return Monitor()
