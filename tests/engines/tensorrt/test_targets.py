"""What engines are stored under, for both libraries; nothing is built here."""

from types import SimpleNamespace

import pytest

from distill_perception.engines.tensorrt.cuda import Gpu
from distill_perception.engines.tensorrt.library import Library
from distill_perception.engines.tensorrt.targets import apply_target, has_float8, stored_target, targets_of
from distill_perception.errors import EngineError

LEVELS = SimpleNamespace(AMPERE_PLUS="any from Ampere", SAME_COMPUTE_CAPABILITY="same capability")
CAPABILITIES = SimpleNamespace(CURRENT=-1, SM86=86, SM120=120, __members__={"SM86": 86, "SM120": 120})
FULL = Library("tensorrt", "10.9.0", SimpleNamespace(HardwareCompatibilityLevel=LEVELS))
RTX = Library("tensorrt_rtx", "1.7.1", SimpleNamespace(ComputeCapability=CAPABILITIES))
GEFORCE = Gpu(0, "NVIDIA GeForce RTX 3090", 86, "13.0")
TURING = Gpu(0, "NVIDIA T4", 75, "13.0")
HOPPER = Gpu(0, "NVIDIA H200", 90, "13.0")


def test_tensorrt_prefers_an_engine_of_this_very_gpu_and_driver() -> None:
    exact = "NVIDIA GeForce RTX 3090, sm86, driver 13.0"
    assert targets_of(FULL, GEFORCE) == (exact, "sm86", "ampere+")
    assert stored_target("this-gpu", FULL, GEFORCE) == exact


def test_rtx_goes_by_compute_capability_where_it_names_it() -> None:
    assert targets_of(RTX, GEFORCE) == ("sm86", "ampere+")
    assert targets_of(RTX, HOPPER)[0] == "NVIDIA H200, sm90, driver 13.0"
    assert "ampere+" not in targets_of(RTX, TURING)


@pytest.mark.parametrize("target", ["sm89", "sm86", "ampere+"])
def test_tensorrt_builds_only_on_a_gpu_of_the_kind(target: str) -> None:
    with pytest.raises(EngineError, match="builds only on a GPU of the kind"):
        stored_target(target, FULL, None)
    if target != "sm89":
        assert stored_target(target, FULL, GEFORCE) == target
    else:
        with pytest.raises(EngineError, match="here: NVIDIA GeForce RTX 3090, sm86"):
            stored_target(target, FULL, GEFORCE)


def test_a_kind_of_gpu_that_an_older_tensorrt_cannot_name_is_refused() -> None:
    old = Library(  # the level came with 10.9
        "tensorrt", "10.3.0", SimpleNamespace(HardwareCompatibilityLevel=SimpleNamespace(AMPERE_PLUS=1))
    )
    with pytest.raises(EngineError, match=r"needs TensorRT 10\.9 .*10\.3\.0 is here.*use this-gpu"):
        stored_target("sm86", old, GEFORCE)
    assert stored_target("ampere+", old, GEFORCE) == "ampere+"


def test_an_engine_for_ampere_and_newer_is_not_built_on_turing() -> None:
    with pytest.raises(EngineError, match="NVIDIA T4 is older"):
        stored_target("ampere+", FULL, TURING)


@pytest.mark.parametrize(
    ("stored", "level"),
    [("ampere+", "any from Ampere"), ("sm86", "same capability"), ("NVIDIA X, sm86, driver 13.0", None)],
)
def test_tensorrt_is_told_the_hardware_compatibility(stored: str, level: str | None) -> None:
    config = SimpleNamespace(hardware_compatibility_level=None)
    apply_target(config, stored, FULL)
    assert config.hardware_compatibility_level == level


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("ampere+", False), ("sm86", False), ("NVIDIA H200, sm90, driver 13.0", True), ("sm120", True)],
)
def test_fp8_is_for_targets_all_of_whose_gpus_have_it(stored: str, expected: bool) -> None:
    assert has_float8(stored) is expected


@pytest.mark.parametrize(("stored", "capability"), [("sm120", 120), ("NVIDIA H200, sm90, driver 13.0", -1)])
def test_rtx_is_told_the_compute_capability(stored: str, capability: int) -> None:
    told = []
    config = SimpleNamespace(
        num_compute_capabilities=0, set_compute_capability=lambda *args: told.append(args)
    )
    apply_target(config, stored, RTX)
    assert (config.num_compute_capabilities, told) == (1, [(capability, 0)])
