"""Exports for chips that neither ONNX Runtime nor TensorRT serves: ExecuTorch (.pte) and LiteRT (.tflite).

Same graph as the bundle's, camera pixels in, class ids and boxes out, for one frame at a time; the file is
written only if its runtime says what torch says on real frames. The runtime node does not read these files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import ExportedProgram

from distill_perception.bundle import TASK_OUTPUTS
from distill_perception.signals import signals_wait
from training.compression.fake_quant import take_fake_quant
from training.errors import TrainingError
from training.export.draft import frames_of
from training.export.graph import DeployedNet
from training.export.parity import Parity, compare_answers, require_parity
from training.export.place import scratch_beside
from training.run_folder import load_model, refuse_unwritable

Infer = Callable[[NDArray[np.uint8]], list[NDArray[Any]]]
FRAMES = 4


def write_mobile(run: Path, out: Path) -> Parity:
    """Export a finished run to `out`, whose suffix says for what.

    Returns:
        How the file's own runtime agrees with torch on validation frames.

    Raises:
        TrainingError: unknown suffix, package missing, no finished run, or the answers part; then nothing is
            written.
    """
    if out.suffix not in FORMATS:
        known = ", ".join(f"{suffix} ({name})" for suffix, (name, _, _) in FORMATS.items())
        raise TrainingError(f"{out}: the suffix says what to export for; known are {known}")
    refuse_unwritable(out.parent)
    engine, package, convert = FORMATS[out.suffix]
    recipe, model = load_model(run)
    take_fake_quant(model)
    net = DeployedNet(model, recipe.model.detection.max_detections)
    net = net.to(memory_format=torch.contiguous_format).eval()
    frames = list(frames_of(recipe, recipe.data.val[:1], FRAMES))[:FRAMES]
    with signals_wait():
        program = torch.export.export(net, (torch.from_numpy(frames[0])[None],))
    with scratch_beside(out, ".export-") as scratch:
        file = scratch / out.name
        try:
            infer = convert(program, file)
        except ImportError as error:
            raise TrainingError(f"{engine} is not installed ({error}); pip install {package}") from error
        names = [name for task in net.tasks for name in TASK_OUTPUTS[task]]
        with torch.inference_mode():
            told = [net(torch.from_numpy(frame)[None]) for frame in frames]
        expected = [dict(zip(names, (part.numpy() for part in item), strict=True)) for item in told]
        found = [dict(zip(names, infer(frame), strict=True)) for frame in frames]
        parity = compare_answers(engine, expected, found)
        require_parity([parity])
        file.replace(out)
    return parity


def _executorch(program: ExportedProgram, file: Path) -> Infer:
    """XNNPACK takes what it can, ExecuTorch's portable kernels the rest."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    file.write_bytes(lowered.to_executorch().buffer)
    loaded = Runtime.get().load_program(file)
    method = loaded.load_method("forward")
    return lambda frame: [part.numpy().copy() for part in method.execute([torch.from_numpy(frame)[None]])]


def _litert(program: ExportedProgram, file: Path) -> Infer:
    """The traced constants' `detach_` is beyond its tracer, hence the decomposition."""
    import litert_torch

    example = program.example_inputs[0] if program.example_inputs else ()
    model = litert_torch.convert(program.run_decompositions({}).module(), example)
    model.export(str(file))

    def infer(frame: NDArray[np.uint8]) -> list[NDArray[Any]]:
        answer = model(frame[None])
        parts = answer if isinstance(answer, (list, tuple)) else [answer]
        return [np.array(part) for part in parts]

    return infer


# By suffix: the runtime, the package that brings converter and runtime, and what converts.
FORMATS: dict[str, tuple[str, str, Callable[[ExportedProgram, Path], Infer]]] = {
    ".pte": ("ExecuTorch", "executorch", _executorch),
    ".tflite": ("LiteRT", "litert-torch", _litert),
}
