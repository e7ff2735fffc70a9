"""Building with the real tensorrt_rtx, which needs no GPU for it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from distill_perception.bundle import Bundle, ModelFile, load_bundle, sha256_of
from distill_perception.engine_view import build_engines
from distill_perception.engines import EngineSettings, open_engine
from distill_perception.engines.tensorrt import build as building
from distill_perception.engines.tensorrt import targets
from distill_perception.engines.tensorrt.build import BuildProgress, BuildRequest, build_engine
from distill_perception.engines.tensorrt.cuda import Gpu
from distill_perception.engines.tensorrt.engine import load_engine
from distill_perception.engines.tensorrt.library import Library, find_library
from distill_perception.engines.tensorrt.store import EngineStore
from distill_perception.errors import BundleError, EngineError
from tests.support.tiny_bundle import tiny_model
from training.compression.float8 import write_float8
from training.compression.half import write_half
from training.export import adapt as adapting

MODELS = sorted(Path(__file__).parents[3].joinpath("models").glob("*/manifest.yaml"))
GPU = Gpu(0, "NVIDIA GeForce RTX 3090", 86, "13.0")


def quiet(what: str, done: int, total: int) -> None:
    pass


def build(request: BuildRequest, library: Library, store: EngineStore) -> bytes:
    return build_engine(request, request.key(library, None), library, store, quiet, must_keep=True)


def with_model(bundle: Bundle, model: onnx.ModelProto) -> Bundle:
    onnx.save(model, str(bundle.model_path()))
    return bundle


def test_a_cache_that_others_write_is_refused_before_anything_is_built(
    bundle: Bundle, store: EngineStore, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("built for nothing")

    monkeypatch.setattr(building, "make_logger", never)
    store.folder.mkdir()
    store.folder.chmod(0o775)
    with pytest.raises(OSError, match="others can write it"):
        build(BuildRequest(bundle, "fp32", target="sm86"), library, store)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("manifest", MODELS, ids=lambda path: path.parent.name)
def test_every_shipped_bundle_builds(
    manifest: Path, precision: str, library: Library, store: EngineStore, tmp_path: Path
) -> None:
    bundle = load_bundle(manifest)
    if precision == "fp16" and "fp16" not in bundle.manifest.precisions:
        size = bundle.manifest.input
        frame = np.random.default_rng(0).integers(0, 256, (size.height, size.width, 3), np.uint8)
        write_half(bundle.model_path("fp32"), tmp_path / "half.onnx", frame)
        half = ModelFile(file="half.onnx", sha256=sha256_of(tmp_path / "half.onnx"))
        bundle = Bundle(tmp_path, bundle.manifest.model_copy(update={"precisions": {"fp16": half}}))
    if precision not in bundle.manifest.precisions:
        pytest.skip(f"LOUD: {bundle.manifest.name} ships no {precision}")
    content = build(BuildRequest(bundle, precision, target="ampere+"), library, store)
    (entry,) = store.entries()
    assert store.read(entry) == content
    assert len(content) > 1_000_000  # the weights are in it


@pytest.fixture(scope="module")
def fp8(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The first shipped bundle's network in FP8, and nothing else."""
    shipped, folder = load_bundle(MODELS[0]), tmp_path_factory.mktemp("fp8")
    size = shipped.manifest.input
    frames = np.random.default_rng(0).integers(0, 256, (2, size.height, size.width, 3), np.uint8)
    write_float8(shipped.model_path("fp32"), folder / "fp8.onnx", frames)
    file = ModelFile(file="fp8.onnx", sha256=sha256_of(folder / "fp8.onnx"))
    return Bundle(folder, shipped.manifest.model_copy(update={"precisions": {"fp8": file}}))


def test_fp8_builds_for_gpus_that_have_it(fp8: Bundle, library: Library, store: EngineStore) -> None:
    assert len(build(BuildRequest(fp8, "fp8", target="sm89"), library, store)) > 1_000_000


@pytest.mark.parametrize("target", ["sm86", "ampere+"])
def test_fp8_is_refused_for_gpus_that_lack_it(
    target: str, fp8: Bundle, library: Library, store: EngineStore
) -> None:
    with pytest.raises(EngineError, match=r"FP8 needs Ada, Hopper or newer.*such as sm89"):
        build(BuildRequest(fp8, "fp8", target=target), library, store)


def test_fp8_is_left_out_unless_every_target_has_it(
    fp8: Bundle, library: Library, store: EngineStore, capsys: pytest.CaptureFixture[str]
) -> None:
    build_engines(fp8, store, targets=["sm86"])
    assert "fp8 for sm86: left out, it needs Ada" in capsys.readouterr().out
    assert not list(store.entries())


def test_fp8_is_nothing_for_onnxruntime_on_a_cpu(fp8: Bundle) -> None:
    with pytest.raises(EngineError, match="no fp8 on the CPU; choose another precision"):
        open_engine(fp8, "onnxruntime", EngineSettings("fp8"))


@pytest.mark.parametrize("batch", [None, 2])
def test_bundles_adapted_to_a_camera_build(
    batch: int | None,
    bundle: Bundle,
    library: Library,
    store: EngineStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(adapting, "MIN_MASKS", 0.9)  # the tiny bundle's classes hang on single grey levels
    adapting.adapt(bundle, tmp_path / "adapted", (120, 160), batch)
    build(BuildRequest(load_bundle(tmp_path / "adapted"), "fp32", 3, "ampere+"), library, store)
    assert next(iter(store.entries())).key.max_batch == (batch or 3)


@pytest.mark.parametrize("target", ["ampere+", "sm75", "sm86", "sm120"])
def test_engines_are_built_ahead_for_other_gpus(
    target: str, bundle: Bundle, library: Library, store: EngineStore
) -> None:
    build(BuildRequest(bundle, "fp32", max_batch=4, target=target), library, store)
    (entry,) = store.entries()
    assert (entry.key.target, entry.key.max_batch) == (target, 4)


def test_weights_of_the_two_of_four_pattern_may_take_sparse_kernels(
    bundle: Bundle, library: Library, store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = []

    def apply_target(config: Any, *target: Any) -> None:
        configs.append(config)
        targets.apply_target(config, *target)

    monkeypatch.setattr(building, "apply_target", apply_target)
    build(BuildRequest(bundle, "fp32", target="ampere+"), library, store)
    assert configs[0].get_flag(library.trt.BuilderFlag.SPARSE_WEIGHTS)


def test_progress_rises_to_the_end(bundle: Bundle, library: Library, store: EngineStore) -> None:
    request = BuildRequest(bundle, "fp32", target="ampere+")
    seen: list[int] = []
    key = request.key(library, None)
    build_engine(request, key, library, store, lambda what, done, total: seen.append(100 * done // total))
    assert seen == sorted(seen)
    assert seen[-1] == 100


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_ctrl_c_or_a_fault_in_the_middle_of_a_build_ends_it_as_what_it_is(
    bundle: Bundle, library: Library, store: EngineStore, error: type[BaseException]
) -> None:
    def interrupted(what: str, done: int, total: int) -> None:
        raise error

    request = BuildRequest(bundle, "fp32", target="ampere+")
    with pytest.raises(error):
        build_engine(request, request.key(library, None), library, store, interrupted)
    assert list(store.entries()) == []


def test_an_operator_that_tensorrt_lacks_is_named(
    bundle: Bundle, library: Library, store: EngineStore
) -> None:
    model = tiny_model(("segmentation", "detection"))
    model.graph.initializer.append(numpy_helper.from_array(np.eye(2, dtype=np.float32), "square"))
    model.graph.node.append(helper.make_node("Det", ["square"], ["one"], name="determinant"))
    model.graph.output.append(helper.make_tensor_value_info("one", TensorProto.FLOAT, []))
    with pytest.raises(EngineError) as caught:
        build(BuildRequest(with_model(bundle, model), "fp32", target="ampere+"), library, store)
    assert "operator Det (node 'determinant')" in str(caught.value)
    assert str(bundle.model_path()) in str(caught.value)


def test_a_use_of_an_operator_that_tensorrt_refuses_is_named(
    bundle: Bundle, library: Library, store: EngineStore
) -> None:
    model = tiny_model(("segmentation", "detection"))
    (pool,) = [node for node in model.graph.node if node.op_type == "MaxPool"]
    pool.name = "pooling"
    pool.output.append("indices")
    with pytest.raises(EngineError, match=r"operator MaxPool \(node 'pooling'\); use another engine: "):
        build(BuildRequest(with_model(bundle, model), "fp32", target="ampere+"), library, store)


def test_a_damaged_file_is_named(bundle: Bundle, library: Library, store: EngineStore) -> None:
    bundle.model_path().write_bytes(b"not an onnx file")
    with pytest.raises(EngineError, match=r"tensorrt cannot read .*student\.onnx"):
        build(BuildRequest(bundle, "fp32", target="ampere+"), library, store)


def test_the_contract_is_checked_before_building(
    bundle: Bundle, library: Library, store: EngineStore
) -> None:
    model = tiny_model(("segmentation", "detection"), 24, 32)
    with pytest.raises(BundleError, match=r"must be uint8 \[\?,48,64,3\]; .* has uint8 \[.*,24,32,3\]"):
        build(BuildRequest(with_model(bundle, model), "fp32", target="ampere+"), library, store)
    model = tiny_model(("segmentation", "detection"), metadata_classes=("cat", "dog", "cow"))
    with pytest.raises(BundleError, match="classes do not match"):
        build(BuildRequest(with_model(bundle, model), "fp32", target="ampere+"), library, store)


@pytest.mark.parametrize(
    ("request_options", "expected"),
    [
        ({"target": "this-gpu"}, "has no NVIDIA GPU"),
        ({"target": "turing"}, "target 'turing' is not known; use this-gpu"),
        ({"target": "sm90"}, "knows sm75, sm80, sm86"),
        ({"target": "ampere+", "version_compatible": True}, "no version-compatible engines"),
    ],
)
def test_what_rtx_cannot_build_is_refused(
    request_options: dict[str, object], expected: str, bundle: Bundle, library: Library
) -> None:
    with pytest.raises(EngineError, match=expected):
        BuildRequest(bundle, "fp32", **request_options).key(library, None)


def test_a_second_start_loads_and_does_not_build(
    bundle: Bundle, library: Library, store: EngineStore
) -> None:
    request, told = BuildRequest(bundle, "fp32"), []

    def start() -> bytes:
        return load_engine(request, library, GPU, store, lambda content, host_code: content, tell)

    def tell(what: str, done: int, total: int) -> None:
        told.append(what)

    first = start()
    assert set(told) == {"building engine"}
    told.clear()
    assert start() == first
    assert told == []


def test_an_engine_that_the_library_refuses_is_built_again(
    bundle: Bundle, library: Library, store: EngineStore
) -> None:
    request = BuildRequest(bundle, "fp32")
    store.write(request.key(library, GPU), b"of another driver", "tiny")

    def deserialize(content: bytes, host_code: bool) -> bytes | None:
        return None if content == b"of another driver" else content

    assert load_engine(request, library, GPU, store, deserialize, quiet)
    (entry,) = store.entries()
    assert store.read(entry) != b"of another driver"


def test_an_engine_that_was_tampered_with_never_reaches_the_library(
    bundle: Bundle, library: Library, store: EngineStore
) -> None:
    request = BuildRequest(bundle, "fp32")
    store.write(request.key(library, GPU), b"engine", "tiny")
    (entry,) = store.entries()
    entry.path.write_bytes(b"malice")
    reached = []
    load_engine(request, library, GPU, store, lambda content, host_code: reached.append(content) or 1, quiet)
    assert len(reached) == 1
    assert reached[0] != b"malice"


def test_without_any_place_to_keep_it_the_engine_is_used_all_the_same(
    bundle: Bundle, library: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    store = EngineStore(tmp_path / "file" / "engines")
    request = BuildRequest(bundle, "fp32")
    assert load_engine(request, library, GPU, store, lambda content, host_code: content, quiet)
    assert "cannot be kept" in caplog.text


def test_progress_of_nested_phases_is_a_share_of_the_whole() -> None:
    progress = BuildProgress()
    progress.start("all", None, 2)
    assert progress.percent == 0
    progress.step("all", 0)
    assert progress.percent == 50
    progress.start("timing", "all", 4)
    progress.step("timing", 1)  # two of four, in the second half
    assert progress.percent == 75
    progress.finish("timing")
    assert progress.percent == 75  # never back
    progress.step("all", 1)
    assert progress.percent == 100


def test_a_broken_tensorrt_is_passed_over_and_its_reason_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As where a library of its own cannot be opened: no ImportError, and yet other engines may do."""
    (tmp_path / "tensorrt.py").write_text("raise OSError('libcudart.so.12: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(EngineError, match=r"tensorrt cannot be imported \(libcudart\.so\.12"):
        find_library()


def test_without_tensorrt_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(EngineError, match="pip install tensorrt-rtx-cu13"):
        find_library()
