"""What `tensorrt` does in a build and TensorRT-RTX does not."""

from typing import Any

from distill_perception.bundle import Bundle
from distill_perception.engines.tensorrt.build import BuildRequest, build_engine
from distill_perception.engines.tensorrt.cuda import Gpu
from distill_perception.engines.tensorrt.library import Library
from distill_perception.engines.tensorrt.store import EngineStore

GPU = Gpu(0, "NVIDIA GeForce RTX 3090", 86, "13.0")


def test_tensorrt_proper_keeps_timings_for_the_next_build_on_such_a_gpu(
    bundle: Bundle, store: EngineStore, library: Library
) -> None:
    """RTX's module stands in for it, which has its calls but takes neither timings nor these settings."""
    given: list[bytes] = []

    class Timings:
        def serialize(self) -> bytes:
            return b"measured"

    class Config:
        def __init__(self, real: Any) -> None:
            self.__dict__.update(real=real, flags=[], levels=[])

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def __setattr__(self, name: str, value: Any) -> None:
            (self.levels.append(value) if "compatibility" in name else setattr(self.real, name, value))

        def set_flag(self, flag: Any) -> None:
            self.flags.append(flag)

        def create_timing_cache(self, content: bytes) -> Timings:
            given.append(content)
            return Timings()

        def set_timing_cache(self, cache: Timings, ignore_mismatch: bool) -> None:
            assert not ignore_mismatch  # another GPU's timings would choose the wrong kernels

    configs: list[Config] = []

    class Builder:
        def __init__(self, logger: Any) -> None:
            self.real = library.trt.Builder(logger)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def create_builder_config(self) -> Config:
            configs.append(Config(self.real.create_builder_config()))
            return configs[-1]

        def build_serialized_network(self, network: Any, config: Config) -> bytes:
            return bytes(self.real.build_serialized_network(network, config.real))

    class Module:
        def __getattr__(self, name: str) -> Any:
            return Builder if name == "Builder" else getattr(library.trt, name)

    proper = Library("tensorrt", "10.9.0", Module())
    request = BuildRequest(bundle, "fp32", target="ampere+", version_compatible=True)
    key = request.key(proper, GPU)
    assert key != BuildRequest(bundle, "fp32", target="ampere+").key(proper, GPU)
    for target in (request, request, BuildRequest(bundle, "fp32", target="sm86")):
        build_engine(target, target.key(proper, GPU), proper, store, lambda *_: None, must_keep=True)
    assert given == [b"", b"measured", b""]
    flags, levels = library.trt.BuilderFlag, library.trt.HardwareCompatibilityLevel
    assert [flags.VERSION_COMPATIBLE in config.flags for config in configs] == [True, True, False]
    wanted = [levels.AMPERE_PLUS, levels.AMPERE_PLUS, levels.SAME_COMPUTE_CAPABILITY]
    assert [config.levels for config in configs] == [[level] for level in wanted]
