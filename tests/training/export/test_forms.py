"""What of a bundle is asked on this machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill_perception.bundle import Bundle, load_bundle
from distill_perception.engines import Engine, EngineSettings, open_engine
from distill_perception.errors import EngineError
from tests.support.tiny_bundle import write_tiny_bundle
from training.export import forms, parity
from training.export.forms import Form, forms_of
from training.export.parity import form_answers


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path / "tiny", ("segmentation",)))


def test_a_gpus_engines_are_asked_too_and_what_it_cannot_run_is_passed_over(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A stand-in for a GPU that is too old for TensorRT."""
    here = {"cpu": [("openvino", "fp32")], "cuda": [("tensorrt", "fp32"), ("onnxruntime", "fp32")]}
    asked: list[tuple[str, str]] = []

    def opened(bundle: Bundle, name: str, settings: EngineSettings) -> Engine:
        asked.append((name, settings.device))
        if name == "tensorrt":
            raise EngineError("compute capability 5.0 is too old")
        return open_engine(bundle, "onnxruntime", EngineSettings("fp32"))

    monkeypatch.setattr(forms, "engines_by_precision", lambda bundle, device: here[device])
    for module in (forms, parity):
        monkeypatch.setattr(module, "open_engine", opened)
    with caplog.at_level(logging.WARNING):
        found = forms_of(bundle)
    assert [form.name for form in found] == ["fp32 on openvino", "fp32 on onnxruntime, cuda"]
    assert "fp32 on tensorrt, cuda is not checked: compute capability 5.0 is too old" in caplog.text
    asked.clear()
    frames: Any = np.zeros((1, bundle.manifest.input.height, bundle.manifest.input.width, 3), np.uint8)
    assert form_answers(bundle, found[1], frames)
    assert asked == [("onnxruntime", "cuda")]
    assert forms_of(bundle, ["cpu"]) == [Form("openvino", "fp32")]
