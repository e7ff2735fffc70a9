"""Inference engines behind one protocol, chosen by name or `auto`."""

from .base import Engine, EngineSettings
from .registry import DEVICES, ENGINES, available_engines, engine_problems, engines_by_precision, open_engine

__all__ = [
    "DEVICES",
    "ENGINES",
    "Engine",
    "EngineSettings",
    "available_engines",
    "engine_problems",
    "engines_by_precision",
    "open_engine",
]
