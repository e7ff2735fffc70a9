"""The order of the calls around a GPU: recorded, launched, allocated, freed. Real GPUs: test_contract.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill_perception.bundle import load_bundle
from distill_perception.engines import Engine, EngineSettings
from distill_perception.engines.tensorrt import cuda as cuda_module
from distill_perception.engines.tensorrt import engine as engine_module
from distill_perception.engines.tensorrt.cuda import find_gpu
from distill_perception.engines.tensorrt.library import Library
from distill_perception.errors import EngineError
from tests.support.fake_gpu import FakeCuda, FakeTrtEngine, fake_trt
from tests.support.tiny_bundle import write_tiny_bundle

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda()
    monkeypatch.setattr(cuda_module, "cudart", fake)
    monkeypatch.setattr(engine_module, "find_library", lambda: Library("tensorrt", "10.3.0", fake_trt()))
    monkeypatch.setattr(
        engine_module, "load_engine", lambda *args: FakeTrtEngine(fake, HEIGHT, WIDTH, fake.gpus == 1)
    )
    return fake


@pytest.fixture
def engine(cuda: FakeCuda, tmp_path: Path) -> Iterator[Engine]:
    bundle = load_bundle(write_tiny_bundle(tmp_path / "b", height=HEIGHT, width=WIDTH))
    opened = engine_module.open_model(bundle, EngineSettings(device="cuda", max_batch=3))
    yield opened
    opened.close()


def frames(count: int, seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)


def assert_right(engine: Engine, count: int, seed: int) -> None:
    given = frames(count, seed)
    found = engine.infer(given)
    np.testing.assert_array_equal(found["mask"], given.argmax(3))
    np.testing.assert_array_equal(found["confidence"], given.max(3))


def test_every_batch_size_is_recorded_once_and_launched_from_then_on(engine: Engine, cuda: FakeCuda) -> None:
    for seed, count in enumerate((1, 3, 2, 1, 3, 3, 1)):
        assert_right(engine, count, seed)
    assert cuda.calls.count("cudaStreamBeginCapture") == 3
    assert cuda.calls.count("cudaGraphLaunch") == 7


def test_memory_is_allocated_when_it_opens_and_never_after(engine: Engine, cuda: FakeCuda) -> None:
    cuda.calls.clear()
    for count in (1, 2, 3, 1):
        assert_right(engine, count, count)
    assert not {"cudaMalloc", "cudaHostAlloc"} & set(cuda.calls)


def test_closing_frees_everything_graphs_first_and_stream_last(engine: Engine, cuda: FakeCuda) -> None:
    for count in (1, 2):
        engine.infer(frames(count, 0))
    cuda.calls.clear()
    engine.close()
    assert cuda.live == {}
    freed = [name for name in cuda.calls if "Destroy" in name or "Free" in name]
    assert freed[:2] == ["cudaGraphExecDestroy"] * 2
    assert freed[-1] == "cudaStreamDestroy"
    with pytest.raises(EngineError, match="is closed"):
        engine.infer(frames(1, 0))


@pytest.mark.parametrize("call", ["cudaFree", "cudaSetDevice"])
def test_closing_after_an_error_on_the_gpu_frees_what_it_can_and_says_the_rest(
    engine: Engine, cuda: FakeCuda, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    """After an error of a kernel all calls of CUDA fail, and `close` must not hide the first one."""
    engine.infer(frames(1, 0))
    cuda.fail = call
    engine.close()
    assert "CUDA failed" in caplog.text
    assert "cudaStreamDestroy" in cuda.calls


@pytest.mark.parametrize("call", ["cudaHostAlloc", "cudaMalloc", "cudaStreamCreateWithFlags"])
def test_a_failed_opening_leaves_nothing_allocated(cuda: FakeCuda, tmp_path: Path, call: str) -> None:
    bundle = load_bundle(write_tiny_bundle(tmp_path / "b", height=HEIGHT, width=WIDTH))
    cuda.fail = call
    with pytest.raises(EngineError, match="CUDA failed"):
        engine_module.open_model(bundle, EngineSettings(device="cuda"))
    assert cuda.live == {}


def test_a_library_that_does_not_start_is_an_engine_error_with_its_reason(
    cuda: FakeCuda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As TensorRT fails under a driver that is too old: `auto` goes on to the next engine."""

    def runtime(logger: Any) -> Any:
        logger.log(logger.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")

    library = fake_trt()
    library.Runtime = runtime
    monkeypatch.setattr(engine_module, "find_library", lambda: Library("tensorrt", "10.3.0", library))
    bundle = load_bundle(write_tiny_bundle(tmp_path / "b", height=HEIGHT, width=WIDTH))
    with pytest.raises(EngineError, match=r"tensorrt 10.3.0 does not start: CUDA init.* error: 35"):
        engine_module.open_model(bundle, EngineSettings(device="cuda"))
    assert cuda.live == {}


def test_what_cannot_be_recorded_runs_without(
    engine: Engine, cuda: FakeCuda, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    cuda.fail = "cudaGraphInstantiate"
    for seed in range(3):
        assert_right(engine, 2, seed)
    assert "batches of 2 run without a CUDA graph" in caplog.text
    assert "cudaGraphLaunch" not in cuda.calls


def test_a_context_that_refuses_to_be_recorded_leaves_the_stream_usable(
    cuda: FakeCuda, tmp_path: Path
) -> None:
    cuda.gpus = 2  # the fixture's engine is then one that cannot be captured
    bundle = load_bundle(write_tiny_bundle(tmp_path / "b", height=HEIGHT, width=WIDTH))
    engine = engine_module.open_model(bundle, EngineSettings(device="cuda:1"))
    for seed in range(2):
        assert_right(engine, 1, seed)
    assert cuda.recording is None
    engine.close()
    assert cuda.live == {}


def test_it_says_library_gpu_device_and_precision(engine: Engine) -> None:
    assert engine.description == "tensorrt (tensorrt 10.3.0), Fake GPU, cuda, fp32"


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("abacus", "knows no device 'abacus'"),
        ("cuda:x", "knows no device 'cuda:x'"),
        ("cuda:1", "this machine has 1 NVIDIA GPU"),
    ],
)
def test_a_wrong_device_is_refused(cuda: FakeCuda, device: str, expected: str) -> None:
    with pytest.raises(EngineError, match=expected):
        find_gpu(device)


def test_without_driver_or_cuda_python_the_remedy_is_said(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda.fail = "cudaGetDeviceCount"
    assert "nvidia-smi" in str(engine_module.problem("cuda"))
    monkeypatch.setattr(cuda_module, "cudart", None)
    assert "pip install cuda-bindings" in str(engine_module.problem("cuda"))
