import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import distill_perception.engines.onnxruntime as onnxruntime_module
import distill_perception.engines.openvino as openvino_module
import distill_perception.engines.tensorrt as tensorrt_module
from distill_perception.bundle import Bundle, load_bundle
from distill_perception.engines import (
    Engine,
    EngineSettings,
    available_engines,
    engine_problems,
    engines_by_precision,
    open_engine,
)
from distill_perception.errors import EngineError
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path / "b"))


def test_auto_takes_the_first_available_engine_and_logs_why(
    bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert open_engine(bundle).name == available_engines()[0]
    assert f"engine auto: chose '{available_engines()[0]}'" in caplog.text


def test_auto_passes_over_what_is_missing_and_logs_the_reason(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openvino_module, "ov", None)
    with caplog.at_level(logging.INFO):
        assert open_engine(bundle, "auto").name == "onnxruntime"
    assert "passed over openvino on cpu: the openvino package is missing" in caplog.text


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_device_may_be_written_in_upper_case(engine: str, bundle: Bundle) -> None:
    settings = EngineSettings(device="CPU")
    assert settings.device == "cpu", "a bundle's fastest precision is chosen by this name"
    assert open_engine(bundle, engine, settings).description.endswith("cpu, fp32")


def test_a_missing_engine_is_refused_with_the_remedy(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime_module, "ort", None)
    with pytest.raises(EngineError, match=r"'onnxruntime' is not available: .*pip install"):
        open_engine(bundle, "onnxruntime")
    assert "onnxruntime" not in available_engines()


def test_no_engine_at_all_tells_every_reason(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime_module, "ort", None)
    monkeypatch.setattr(openvino_module, "ov", None)
    with pytest.raises(
        EngineError, match=r"no engine is available .*openvino on cpu: .*onnxruntime on cpu: "
    ):
        open_engine(bundle)


def test_an_unknown_engine_lists_the_known_ones(bundle: Bundle) -> None:
    with pytest.raises(
        EngineError, match="'abacus' is not known; choose auto, tensorrt, openvino, onnxruntime"
    ):
        open_engine(bundle, "abacus")


def test_a_gpu_without_the_gpu_build_names_the_package() -> None:
    problem = engine_problems("cuda")["onnxruntime"]
    if problem is None:
        pytest.skip("this machine has a CUDA build of onnxruntime")
    assert "pip install onnxruntime-gpu" in problem


def test_device_auto_is_the_gpu_where_an_engine_can_use_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tensorrt_module, "problem", lambda device: None if device == "cuda" else "no")
    asked = []

    def open_model(bundle: Bundle, settings: EngineSettings) -> Engine:
        asked.append((settings.device, settings.precision))
        raise EngineError("the driver is too old")

    monkeypatch.setattr(tensorrt_module, "open_model", open_model)
    with caplog.at_level(logging.INFO):
        opened = open_engine(bundle, "auto", EngineSettings(device="auto"))
    assert asked == [("cuda", "auto")]
    assert "chose 'tensorrt' on cuda" in caplog.text
    # What `auto` chose did not open: the vehicle drives on with the next, and says so.
    assert opened.name == "openvino"
    assert "'tensorrt' cannot serve it, trying the next: the driver is too old" in caplog.text
    with pytest.raises(EngineError, match="the driver is too old"):
        open_engine(bundle, "tensorrt", EngineSettings(device="cuda"))


def test_auto_goes_on_with_the_next_where_the_first_loads_and_then_cannot_run(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[Engine] = []

    def run(self: Engine, frames: object) -> None:
        raise EngineError("out of memory")

    monkeypatch.setattr(openvino_module.OpenVinoEngine, "_run", run)
    monkeypatch.setattr(openvino_module.OpenVinoEngine, "close", lambda engine: closed.append(engine))
    assert open_engine(bundle, "auto").name == "onnxruntime"
    assert "'openvino' cannot serve it, trying the next: out of memory" in caplog.text
    assert len(closed) == 1  # its memory is the next one's to have
    with pytest.raises(EngineError, match="out of memory"):
        open_engine(bundle, "openvino")


def test_a_gpu_build_of_onnxruntime_is_given_the_libraries_that_pip_installed(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    class Session:
        def __init__(self, *_: object, providers: list[object]) -> None:
            steps.append("session")
            raise RuntimeError("no GPU here")

    monkeypatch.setattr(onnxruntime_module.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime_module.ort, "preload_dlls", lambda: steps.append("libraries"))
    monkeypatch.setattr(onnxruntime_module.ort, "InferenceSession", Session)
    with pytest.raises(EngineError, match="no GPU here"):
        open_engine(bundle, "onnxruntime", EngineSettings(device="cuda"))
    assert steps == ["libraries", "session"]


@pytest.mark.parametrize("installed", [True, False], ids=["with TensorRT", "without"])
def test_a_gpu_build_of_onnxruntime_asks_tensorrt_first_where_its_library_is(
    installed: bool, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def session(*_: object, providers: list[object]) -> None:
        asked.extend(providers)
        raise RuntimeError("no GPU here")

    every = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime_module.ort, "get_available_providers", lambda: every)
    monkeypatch.setattr(onnxruntime_module.ort, "InferenceSession", session)
    library = "libnvinfer.so.10" if installed else None
    monkeypatch.setattr("ctypes.util.find_library", lambda name: library if name == "nvinfer" else None)
    with pytest.raises(EngineError, match="no GPU here"):
        open_engine(bundle, "onnxruntime", EngineSettings(device="cuda:1"))
    second = {"device_id": "1"}
    gpu = [(every[0], second), (every[1], second)]
    assert asked == [*(gpu if installed else gpu[1:]), every[2]]


def test_device_auto_is_the_cpu_where_there_is_no_gpu(bundle: Bundle) -> None:
    if available_engines("cuda"):
        pytest.skip("this machine has a GPU")
    assert open_engine(bundle, "auto", EngineSettings(device="auto")).description.endswith("cpu, fp32")


def with_precisions(bundle: Bundle, *names: str) -> Bundle:
    """The bundle as if it had a file for each."""
    files = dict.fromkeys(names, bundle.manifest.precisions["fp32"])
    return Bundle(bundle.path, bundle.manifest.model_copy(update={"precisions": files}))


def test_the_precision_that_auto_stands_for_is_that_of_the_device(bundle: Bundle) -> None:
    class Plain(Engine):
        name = "plain"

        def _run(self, frames: object) -> dict[str, object]:  # type: ignore[override]
            return {}

        def close(self) -> None:
            pass

    every = with_precisions(bundle, "fp32", "fp16", "int8")
    assert Plain(every, EngineSettings(device="cuda:1")).precision == "fp16"
    assert Plain(every, EngineSettings(device="cpu")).precision == "int8"


def test_onnxruntime_is_not_asked_for_fp8(bundle: Bundle) -> None:
    both = with_precisions(bundle, "fp32", "fp8")
    pairs = engines_by_precision(both)
    assert ("onnxruntime", "fp32") in pairs
    assert ("onnxruntime", "fp8") not in pairs
    with pytest.raises(EngineError, match="onnxruntime has no fp8 on the CPU; choose another precision"):
        open_engine(both, "onnxruntime", EngineSettings(precision="fp8"))


def test_the_engines_of_a_device_are_those_that_can_serve_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tensorrt_module, openvino_module, onnxruntime_module):
        own = "cuda" if module is tensorrt_module else "cpu"
        monkeypatch.setattr(module, "problem", lambda device, own=own: None if device == own else "no")
    assert engines_by_precision(bundle, "cuda") == [("tensorrt", "fp32")]
    assert engines_by_precision(bundle) == [("openvino", "fp32"), ("onnxruntime", "fp32")]


def test_openvino_serves_one_of_several_gpus_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    core = SimpleNamespace(available_devices=["CPU", "GPU.0", "GPU.1"])
    monkeypatch.setattr(openvino_module, "core", lambda: core)
    assert [openvino_module.problem(device) for device in ("cpu", "gpu", "gpu:1")] == [None] * 3
    assert "it finds no device 'gpu:2' (it has: cpu, gpu.0, gpu.1)" in str(openvino_module.problem("gpu:2"))


@pytest.mark.parametrize("device", ["cpu:0", "cuda:first", "npu"])
def test_onnxruntime_knows_which_devices_it_has(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    every = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime_module.ort, "get_available_providers", lambda: every)
    assert onnxruntime_module.problem(device) == f"it knows no device '{device}'; use cpu, cuda or cuda:N"
    assert [onnxruntime_module.problem(known) for known in ("cpu", "cuda", "cuda:1")] == [None] * 3


def test_onnxruntime_that_falls_back_to_the_cpu_is_an_error(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort, session = onnxruntime_module.ort, onnxruntime_module.ort.InferenceSession
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(
        ort, "InferenceSession", lambda file, options, providers: session(file, providers=[providers[-1]])
    )
    with pytest.raises(EngineError, match="could not start CUDAExecutionProvider and would run on the CPU"):
        open_engine(bundle, "onnxruntime", EngineSettings(device="cuda"))


def test_negative_threads_are_refused() -> None:
    with pytest.raises(EngineError, match="threads=-1"):
        EngineSettings(threads=-1)


def test_opening_engines_leaves_no_telemetry_in_the_home_folder(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "b")
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import sys; from distill_perception.bundle import load_bundle; "
        "from distill_perception.engines import available_engines, open_engine; "
        "[open_engine(load_bundle(sys.argv[1]), name) for name in available_engines()]"
    )
    environ = {key: value for key, value in os.environ.items() if key not in ("CI", "ORT_DISABLE_TELEMETRY")}
    words = [sys.executable, "-c", code, str(bundle)]
    subprocess.run(words, env={**environ, "HOME": str(home)}, check=True, timeout=60)
    assert [str(path) for path in home.rglob("*") if path.is_file()] == []


def test_signals_are_handled_after_engines_whose_lives_overlapped(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "b")
    code = """
import os, signal, sys
from distill_perception.bundle import load_bundle
from distill_perception.engines import available_engines, open_engine
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
for name in available_engines():
    first, second = (open_engine(load_bundle(sys.argv[1]), name) for _ in range(2))
    for engine in (first, second):
        engine.close()
    del engine, first
    del second
os.kill(os.getpid(), signal.SIGUSR1)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
