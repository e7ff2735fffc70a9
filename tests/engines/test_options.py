"""What the libraries are asked for, which their answers to small graphs do not show."""

from pathlib import Path
from typing import Any

import pytest

from distill_perception.bundle import Bundle, load_bundle
from distill_perception.engines import EngineSettings, open_engine
from tests.support.tiny_bundle import write_tiny_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path / "bundle"))


class Core:
    """OpenVINO's, which notes what it compiles with."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self.read_model = core.read_model
        self.config: dict[str, Any] = {}

    def compile_model(self, model: Any, device: str, config: dict[str, Any]) -> Any:
        self.config = config
        return self._core.compile_model(model, device, config)


def test_openvino_computes_in_float32_and_with_as_many_threads_as_asked_for(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to itself it takes bfloat16 where the CPU has it, and the scores would be another network's."""
    module = pytest.importorskip("distill_perception.engines.openvino", reason="openvino is not installed")
    core = Core(module.core())
    monkeypatch.setattr(module, "core", lambda: core)

    opened = open_engine(bundle, "openvino", EngineSettings(device="cpu", threads=1))

    compiled = opened._request.get_compiled_model()  # type: ignore[attr-defined]
    assert core.config["INFERENCE_PRECISION_HINT"] == "f32"
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    opened.close()


@pytest.mark.parametrize("threads", [1, 2])
def test_onnxruntime_has_as_many_threads_as_asked_for_and_they_do_not_spin(
    bundle: Bundle, threads: int
) -> None:
    """Threads that spin between two frames take the cores from the node."""
    opened = open_engine(bundle, "onnxruntime", EngineSettings(device="cpu", threads=threads))
    options = opened._session.get_session_options()  # type: ignore[attr-defined]
    assert options.intra_op_num_threads == threads
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    opened.close()
