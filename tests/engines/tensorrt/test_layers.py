"""Which layers TensorRT's engine of a bundle has, asked of the real tensorrt_rtx, and of stand-ins."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill_perception.bundle import Bundle, load_bundle
from distill_perception.engines.tensorrt import layers as counting
from distill_perception.engines.tensorrt.build import BuildRequest
from distill_perception.engines.tensorrt.cuda import Gpu
from distill_perception.engines.tensorrt.layers import count_layers
from distill_perception.engines.tensorrt.library import Library
from distill_perception.engines.tensorrt.store import VARIABLE
from distill_perception.errors import EngineError

SHIPPED = Path(__file__).parents[3] / "models" / "camvid_lite0_small"
GPU = Gpu(0, "NVIDIA GeForce RTX 3090", 86, "13.0")
LAYERS = """Layers:
Name: bb^signal^1_0, LayerType: signal, Inputs: [], Outputs: []
Name: node_1, LayerType: correlation, Inputs: [ { Name: images, Dimensions: [1,3] }], Outputs: []
Name: node_2, LayerType: kgen, Inputs: [], Outputs: []
Name: node_3, LayerType: kgen, Inputs: [], Outputs: []
"""


def test_activations_are_fused_into_the_convolutions_of_a_shipped_bundle(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has 69 convolutions and 51 activations; what was built to be looked at is no engine to be loaded."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    kinds = count_layers(load_bundle(SHIPPED), "fp32", library)
    assert 69 <= kinds.total() < 69 + 51
    assert not {"signal", "wait"} & kinds.keys()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("gpu", "target"), [(None, "ampere+"), (GPU, "this-gpu")])
def test_what_only_orders_the_work_does_not_count(
    gpu: Gpu | None, target: str, bundle: Bundle, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = stand_in(monkeypatch, gpu, LAYERS)
    assert count_layers(bundle, "fp32", library) == Counter(kgen=2, correlation=1)
    assert [request.target for request in requests] == [target]


def test_a_library_that_keeps_it_to_itself_is_an_error(
    bundle: Bundle, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, None, "Layers:\n")
    with pytest.raises(EngineError, match="does not tell the layers of its engines"):
        count_layers(bundle, "fp32", library)


def test_tensorrt_without_a_gpu_says_what_it_wants(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, None, LAYERS)
    with pytest.raises(EngineError, match=r"tensorrt 10.3.0 builds only on a GPU"):
        count_layers(bundle, "fp32", Library("tensorrt", "10.3.0", None))


def stand_in(monkeypatch: pytest.MonkeyPatch, gpu: Gpu | None, text: str) -> list[BuildRequest]:
    """A machine with that GPU, and a builder that tells that of layers; what it was asked to build."""
    requests: list[BuildRequest] = []

    def find(device: str) -> Gpu:
        if gpu is None:
            raise EngineError("no NVIDIA GPU can be used here")
        return gpu

    def build(request: BuildRequest, *_: Any, tell_layers: Callable[[str], None]) -> None:
        requests.append(request)
        tell_layers(text)

    monkeypatch.setattr(counting, "find_gpu", find)
    monkeypatch.setattr(counting, "build_engine", build)
    return requests
