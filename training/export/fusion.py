"""What becomes of a network's layers on the way to an engine: nodes of each graph, counted by kind.

The exporter folds batch norms into convolutions and simplifies the graph; each engine then fuses activations
and additions into its kernels. The first step is checked numerically. TensorRT is asked where it can build:
RTX wherever it is installed, the other one on a GPU.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table

from distill_perception.bundle import GRAPH_INPUT
from distill_perception.engines.openvino import core
from distill_perception.engines.tensorrt.layers import count_layers
from distill_perception.engines.tensorrt.library import find_library
from distill_perception.errors import EngineError
from training.compression.fake_quant import take_fake_quant
from training.data.class_sets import class_set
from training.export.draft import draft_bundle
from training.export.graph import DeployedNet, write_onnx
from training.export.session import cpu_session
from training.run_folder import load_model


@dataclass(frozen=True)
class Fusion:
    """Counts of nodes by kind for each graph, and the check.

    Attributes:
        graphs: `traced` (as torch runs it), `exported` (folded and simplified), and one an engine.
        difference: of the outputs traced and exported on noise: share of mask pixels, or largest difference.
        missing: why TensorRT is not among the engines; empty if it is.
    """

    graphs: dict[str, Counter[str]]
    difference: float
    missing: str


def fusion_of(run: Path) -> Fusion:
    """Export a run both ways and ask each engine of this machine what it makes of it.

    Raises:
        TrainingError: no finished run.
    """
    recipe, model = load_model(run)
    take_fake_quant(model)
    net = DeployedNet(model, recipe.model.detection.max_detections)
    names = class_set(recipe.data.class_set).names
    with tempfile.TemporaryDirectory() as scratch:
        traced = Path(scratch) / "traced.onnx"
        write_onnx(net, names, recipe.data.size, traced, optimize=False)
        draft = draft_bundle(model, recipe, Path(scratch) / "draft")
        exported = draft.model_path("fp32")
        graphs = {
            "traced": _count(traced),
            "exported": _count(exported),
            "onnxruntime": _onnxruntime(exported, Path(scratch) / "optimized.onnx"),
            "openvino": _openvino(exported),
        }
        missing = ""
        try:
            library = find_library()
            graphs[library.name] = count_layers(draft, "fp32", library)
        except EngineError as error:
            missing = str(error)
        frame = np.random.default_rng(0).integers(0, 256, (1, *recipe.data.size, 3), np.uint8)
        return Fusion(graphs, _difference(traced, exported, frame), missing)


def render(fusion: Fusion) -> Table:
    """One row a kind of node, the most frequent first."""
    caption = f"traced and exported differ by {fusion.difference:.2g}"
    if fusion.missing:
        caption += f"\nwithout TensorRT: {escape(fusion.missing)}"
    table = Table(title="Nodes by kind", caption=caption)
    table.add_column("kind")
    for name in fusion.graphs:
        table.add_column(name, justify="right")
    kinds = sum(fusion.graphs.values(), Counter())
    for kind, _ in kinds.most_common():
        table.add_row(kind, *(str(count[kind] or "") for count in fusion.graphs.values()))
    table.add_row("all", *(str(count.total()) for count in fusion.graphs.values()))
    return table


def _count(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node if node.op_type != "Constant")


def _onnxruntime(path: Path, optimized: Path) -> Counter[str]:
    cpu_session(path, optimized_model_filepath=str(optimized))
    return _count(optimized)


def _openvino(path: Path) -> Counter[str]:
    compiled = core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    kinds = (node.get_rt_info()["layerType"].astype(str) for node in compiled.get_runtime_model().get_ops())
    return Counter(kind for kind in kinds if kind not in ("Const", "Input", "Output"))


def _difference(one: Path, other: Path, frame: NDArray[np.uint8]) -> float:
    answers = [cpu_session(path).run(None, {GRAPH_INPUT: frame}) for path in (one, other)]
    pairs = list(zip(*answers, strict=True))
    return max(
        float((a != b).mean() if a.dtype == np.uint8 else np.abs(a.astype(float) - b.astype(float)).max())
        for a, b in pairs
    )
