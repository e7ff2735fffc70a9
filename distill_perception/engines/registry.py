"""Which engines there are, which of them work here, and how one is chosen."""

import importlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Protocol, cast

from ..bundle import Bundle
from ..errors import EngineError
from .base import Engine, EngineSettings

_log = logging.getLogger(__name__)

# Name -> module, in the order in which `auto` tries them: fastest first. A new engine is one file
# with `problem` and `open_model`, and one line here.
ENGINES: Mapping[str, str] = {
    "tensorrt": "distill_perception.engines.tensorrt",
    "openvino": "distill_perception.engines.openvino",
    "onnxruntime": "distill_perception.engines.onnxruntime",
}
DEVICES = ("cuda", "cpu")  # what device `auto` stands for, in this order


class _EngineModule(Protocol):
    def problem(self, device: str) -> str | None:
        """Why this engine cannot serve `device` here, with the remedy; None when it can."""

    def open_model(self, bundle: Bundle, settings: EngineSettings) -> Engine:
        """Load the bundle's model."""


def engine_problems(device: str = "cpu") -> dict[str, str | None]:
    """Every engine's name with None when it can serve `device` here, else the reason and the remedy."""
    return {name: _module(name).problem(device) for name in ENGINES}


def available_engines(device: str = "cpu") -> tuple[str, ...]:
    """Names of the engines that can serve `device` here, best first."""
    return tuple(name for name, problem in engine_problems(device).items() if problem is None)


def engines_by_precision(bundle: Bundle, device: str = "cpu") -> list[tuple[str, str]]:
    """Every engine that can serve `device` here with every precision of a bundle that it can run there."""
    pairs = product(available_engines(device), bundle.manifest.precisions)
    return [pair for pair in pairs if pair != ("onnxruntime", "fp8")]  # it has no kernels for it


def open_engine(bundle: Bundle, name: str = "auto", settings: EngineSettings | None = None) -> Engine:
    """Load a bundle's model into an engine and warm it up.

    Args:
        bundle: the bundle.
        name: one of `ENGINES`, or `auto` for the first that is available and can run the model.
        settings: precision, device (`auto`: a GPU where an engine can use it, else the CPU), threads, ...

    Raises:
        EngineError: unknown or unavailable engine (with the remedy), or it cannot run the model.
        BundleError: the bundle has no such precision, or its graph does not keep the contract.
    """
    settings = settings or EngineSettings()
    if name not in ("auto", *ENGINES):
        raise EngineError(f"engine '{name}' is not known; choose auto, {', '.join(ENGINES)}")
    choices = _choices(name, settings.device)
    for number, (engine_name, device) in enumerate(choices, start=1):
        try:
            engine = _warm(_module(engine_name).open_model(bundle, replace(settings, device=device)))
        except EngineError as error:
            if number == len(choices):
                raise
            _log.warning("engine %s: '%s' cannot serve it, trying the next: %s", name, engine_name, error)
            continue
        _log.info("bundle '%s' runs on %s", bundle.manifest.name, engine.description)
        return engine
    raise AssertionError("unreachable: there is always a choice")


def _warm(engine: Engine) -> Engine:
    try:
        engine.warm_up()
    except BaseException:  # the GPU's memory may be what was short: give it back
        engine.close()
        raise
    return engine


def _choices(name: str, device: str) -> list[tuple[str, str]]:
    """The engines to try and the device of each, best first; never empty."""
    names = tuple(ENGINES) if name == "auto" else (name,)
    choices: list[tuple[str, str]] = []
    reasons: dict[str, str] = {}
    for place in DEVICES if device == "auto" else (device,):
        for engine_name in names:
            problem = _module(engine_name).problem(place)
            if problem is None:
                choices.append((engine_name, place))
            else:
                reasons[f"{engine_name} on {place}"] = problem
    if not choices and name != "auto":
        raise EngineError(f"engine '{name}' is not available: {'; '.join(reasons.values())}")
    if not choices:
        told = "; ".join(f"{what}: {problem}" for what, problem in reasons.items())
        raise EngineError(f"no engine is available for device '{device}' ({told})")
    if name == "auto":
        for what, problem in reasons.items():
            _log.info("engine auto: passed over %s: %s", what, problem)
        _log.info("engine auto: chose '%s' on %s, the first available one", *choices[0])
    return choices


def _module(name: str) -> _EngineModule:
    return cast(_EngineModule, importlib.import_module(ENGINES[name]))
