"""What of a bundle can be run on this machine: engine, precision and device, each a form of the network."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import onnx

from distill_perception.bundle import Bundle
from distill_perception.engines import DEVICES, EngineSettings, engines_by_precision, open_engine
from distill_perception.engines.tensorrt.dialect import to_tensorrt
from distill_perception.errors import EngineError
from training.errors import TrainingError

TENSORRT = "TensorRT"  # INT8 with its symmetric activations, computed by ONNX Runtime

_log = logging.getLogger(__name__)


class Form(NamedTuple):
    """One way to run a bundle."""

    engine: str
    precision: str
    device: str = "cpu"

    @property
    def name(self) -> str:
        """In words."""
        if self.engine == TENSORRT:
            return f"{self.precision} as {self.engine} rounds it"
        return f"{self.precision} on {self.engine}" + ("" if self.device == "cpu" else f", {self.device}")


def forms_of(bundle: Bundle, devices: Sequence[str] = DEVICES) -> list[Form]:
    """Every engine that works here with every precision of a bundle that it can run, the CPU's first.

    A GPU that cannot run a precision is passed over, with a warning: older ones know no FP8.

    Raises:
        TrainingError: a precision that no engine here runs, so that nobody could say whether it is right.
    """
    forms = [
        Form(engine, precision, device)
        for device in sorted(devices, key="cpu".__ne__)
        for engine, precision in engines_by_precision(bundle, device)
    ]
    forms = [form for form in forms if form.device == "cpu" or _opens(bundle, form)]
    for precision in bundle.manifest.precisions:
        if precision not in {form.precision for form in forms}:
            raise TrainingError(
                f"{precision}: no engine here can run it, so it cannot be checked; pip install openvino"
            )
    return forms


def judged_forms(bundle: Bundle, devices: Sequence[str] = DEVICES) -> list[Form]:
    """`forms_of`, and INT8 as TensorRT rounds it, where there is no TensorRT too."""
    simulated = [Form(TENSORRT, "int8")] if "int8" in bundle.manifest.precisions else []
    return [*forms_of(bundle, devices), *simulated]


@contextmanager
def as_run(bundle: Bundle, form: Form) -> Iterator[tuple[Bundle, Form]]:
    """The bundle whose file is run for a form, and the form that an engine here has."""
    if form.engine != TENSORRT:
        yield bundle, form
        return
    file = bundle.model_path(form.precision)
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(to_tensorrt(onnx.load(str(file))), str(Path(folder) / file.name))
        yield Bundle(Path(folder), bundle.manifest), Form("onnxruntime", form.precision)


def _opens(bundle: Bundle, form: Form) -> bool:
    try:
        open_engine(bundle, form.engine, EngineSettings(form.precision, form.device)).close()
    except EngineError as error:
        _log.warning("%s is not checked: %s", form.name, error)
        return False
    return True
