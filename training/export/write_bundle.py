"""Writes a run as a bundle: graph, parity gate, scores, manifest. A failed step leaves nothing behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from distill_perception.bundle import (
    Bundle,
    InputSpec,
    Manifest,
    Metric,
    ModelFile,
    Provenance,
    load_bundle,
    sha256_of,
    write_manifest,
)
from distill_perception.engines import available_engines
from training.compression.quantize import quantize_onnx
from training.data.class_sets import CAMVID, CAMVID_NAMES
from training.data.labelled_folder import list_pairs, read_sample
from training.data.sample import VOID_ID
from training.errors import TrainingError
from training.export.evaluate import evaluate_bundle
from training.export.graph import DeployedSegmenter, write_onnx
from training.export.parity import Parity, measure_parity, require_parity
from training.models.segmenter import Segmenter, count_parameters
from training.recipe import Recipe, SourceSpec
from training.run_folder import PROVENANCE, RESULT, load_model, read_json

ONNX_NAME = "student.onnx"
INT8_NAME = "student_int8.onnx"
PARITY_FRAMES = 8
CALIBRATION_FRAMES = 64


@dataclass(frozen=True)
class ExportRequest:
    """What to export and what to set beside it.

    Attributes:
        run: folder of the finished run.
        out: the bundle's folder; its name becomes the bundle's.
        version, license: as the manifest says them.
        compare: other finished runs whose result is recorded too (teacher, labels only).
        command: the command line, recorded with every metric.
        int8: also write an INT8 form.
        max_miou_drop: what the INT8 form may lose against fp32, on the first validation folder.
    """

    run: Path
    out: Path
    version: str
    license: str
    compare: tuple[Path, ...]
    command: str
    int8: bool = False
    max_miou_drop: float = 0.01


def write_bundle(request: ExportRequest) -> tuple[Bundle, list[Parity]]:
    """Export, check and score a run.

    Raises:
        TrainingError: the run is not finished, or the engines do not agree with torch.
    """
    recipe, model = load_model(request.run)
    read_json(request.run, RESULT)  # a run that did not end is not shipped
    request.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=request.out.parent, prefix=".export-") as scratch:
        folder = Path(scratch) / request.out.name
        folder.mkdir()
        files = {"fp32": folder / ONNX_NAME}
        write_onnx(model, CAMVID_NAMES, recipe.data.size, files["fp32"])
        if request.int8:
            files["int8"] = folder / INT8_NAME
            quantize_onnx(
                files["fp32"], files["int8"], _frames(recipe, recipe.data.train, CALIBRATION_FRAMES)
            )
        write_manifest(folder, _manifest(request, recipe, model, files, ()))
        draft = load_bundle(folder)
        frames = np.stack(list(_frames(recipe, recipe.data.val[:1], PARITY_FRAMES)))
        parity = measure_parity(DeployedSegmenter(model), draft, frames)
        require_parity(parity)
        metrics = (
            *_scores(request, draft, recipe.data.val),
            *_compared(request),
            *_parity_metrics(request, parity),
        )
        write_manifest(folder, _manifest(request, recipe, model, files, metrics))
        load_bundle(folder)
        if request.out.exists():
            shutil.rmtree(request.out)
        shutil.move(str(folder), request.out)
    return load_bundle(request.out), parity


def _frames(recipe: Recipe, sources: Sequence[SourceSpec], count: int) -> Iterator[NDArray[np.uint8]]:
    """About `count` frames spread evenly over labelled folders, uint8 [H,W,3] RGB."""
    pairs = [pair for source in sources for pair in list_pairs(source.path)]
    step = max(1, len(pairs) // count)
    return (read_sample(image, label, recipe.data.size).image for image, label in pairs[::step])


def _scores(request: ExportRequest, bundle: Bundle, sources: Sequence[SourceSpec]) -> list[Metric]:
    """mIoU by source, engine and precision; IoU by class for fp32 on the first engine.

    Raises:
        TrainingError: a reduced precision loses more than its budget on the first source.
    """
    metrics: list[Metric] = []

    def note(name: str, value: float, data: str) -> None:
        metrics.append(Metric(name=name, value=round(value, 4), data=data, command=request.command))

    for source in sources:
        full = evaluate_bundle(bundle, source.path, "onnxruntime", "fp32")
        data = f"{source.name} val, {full.frames} frames"
        note("miou", full.miou, f"{data}, fp32 on onnxruntime")
        for name, value in full.iou.items():
            if not np.isnan(value):
                note(f"iou/{name}", value, f"{data}, fp32 on onnxruntime")
        for engine, precision in product(available_engines(), bundle.manifest.precisions):
            if precision == "fp32":
                continue
            reduced = evaluate_bundle(bundle, source.path, engine, precision)
            note("miou", reduced.miou, f"{data}, {precision} on {engine}")
            drop = full.miou - reduced.miou
            if source is sources[0] and drop > request.max_miou_drop:
                raise TrainingError(
                    f"{precision} on {engine} loses {drop:.4f} mIoU on {source.name} (fp32 {full.miou:.4f}), "
                    f"more than --max-miou-drop {request.max_miou_drop:g}; no bundle was written"
                )
    return metrics


def _compared(request: ExportRequest) -> list[Metric]:
    metrics = []
    for run in (request.run, *request.compare):
        result, provenance = read_json(run, RESULT), read_json(run, PROVENANCE)
        for name, value in result["metrics"].items():
            if name.startswith("miou/") and value is not None:
                data = f"{name.removeprefix('miou/')} val, torch, run {run.name}, {result['epochs']} epochs"
                data += f", seed {provenance['seed']}, {provenance['git_hash'][:12]}"
                metrics.append(
                    Metric(name="miou/torch", value=round(value, 4), data=data, command=provenance["command"])
                )
    return metrics


def _parity_metrics(request: ExportRequest, parity: Sequence[Parity]) -> list[Metric]:
    return [
        Metric(
            name="mask_agreement_with_torch",
            value=round(result.mask_agreement, 6),
            data=f"{result.frames} val frames, {result.engine}",
            command=request.command,
        )
        for result in parity
    ]


def _manifest(
    request: ExportRequest,
    recipe: Recipe,
    model: Segmenter,
    files: Mapping[str, Path],
    metrics: Sequence[Metric],
) -> Manifest:
    provenance = read_json(request.run, PROVENANCE)
    size = InputSpec(
        height=recipe.data.size[0], width=recipe.data.size[1], channel_order="rgb", resize="letterbox"
    )
    teacher = recipe.teacher.run.name if recipe.teacher is not None else "none, labels only"
    try:
        return Manifest(
            name=request.out.name,
            version=request.version,
            description=f"{recipe.model.encoder}, {count_parameters(model) / 1e6:.2f} M parameters",
            tasks=("segmentation",),
            classes=CAMVID,
            void_id=VOID_ID,
            input=size,
            precisions={
                name: ModelFile(file=file.name, sha256=sha256_of(file)) for name, file in files.items()
            },
            provenance=Provenance(
                data=", ".join(source.name for source in recipe.data.train),
                recipe=recipe.name,
                git_hash=provenance["git_hash"],
                seed=provenance["seed"],
                teacher=teacher,
                date=provenance["date"],
                command=provenance["command"],
            ),
            metrics=tuple(metrics),
            license=request.license,
        )
    except ValueError as error:
        raise TrainingError(f"cannot describe {request.out} in a manifest: {error}") from error
