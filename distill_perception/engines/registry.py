"""Which engines there are, which of them work here, and how one is chosen."""

import importlib
import logging
from collections.abc import Mapping
from typing import Protocol, cast

from ..bundle import Bundle
from ..errors import EngineError
from .base import Engine, EngineSettings

_log = logging.getLogger(__name__)

# Name -> module, in the order in which `auto` tries them: measured fastest first. A new engine is one file
# with `problem` and `open_model`, and one line here.
ENGINES: Mapping[str, str] = {
    "openvino": "distill_perception.engines.openvino",
    "onnxruntime": "distill_perception.engines.onnxruntime",
}


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


def open_engine(bundle: Bundle, name: str = "auto", settings: EngineSettings | None = None) -> Engine:
    """Load a bundle's model into an engine.

    Args:
        bundle: the bundle.
        name: one of `ENGINES`, or `auto` for the best one that is available for `settings.device`.
        settings: precision, device, threads.

    Raises:
        EngineError: unknown or unavailable engine (with the remedy), or it cannot load the model.
        BundleError: the bundle has no such precision, or its graph does not keep the contract.
    """
    settings = settings or EngineSettings()
    if name == "auto":
        name = _best(settings.device)
    if name not in ENGINES:
        raise EngineError(f"engine '{name}' is not known; choose auto, {', '.join(ENGINES)}")
    problem = _module(name).problem(settings.device)
    if problem is not None:
        raise EngineError(f"engine '{name}' is not available: {problem}")
    engine = _module(name).open_model(bundle, settings)
    _log.info("bundle '%s' runs on %s", bundle.manifest.name, engine.description)
    return engine


def _best(device: str) -> str:
    problems = engine_problems(device)
    for name, problem in problems.items():
        if problem is None:
            _log.info("engine auto: chose '%s', the first available one of %s", name, ", ".join(problems))
            return name
        _log.info("engine auto: passed over '%s': %s", name, problem)
    reasons = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
    raise EngineError(f"no engine is available for device '{device}' ({reasons})")


def _module(name: str) -> _EngineModule:
    return cast(_EngineModule, importlib.import_module(ENGINES[name]))
