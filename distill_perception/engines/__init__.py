"""Inference engines behind one protocol, chosen by name or `auto`."""

from .base import Engine, EngineSettings
from .registry import ENGINES, available_engines, engine_problems, open_engine

__all__ = ["ENGINES", "Engine", "EngineSettings", "available_engines", "engine_problems", "open_engine"]
