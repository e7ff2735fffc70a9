"""Writes a run as a bundle: graph, parity gate, scores, manifest. A failed step leaves nothing behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
PARITY_FRAMES = 8


@dataclass(frozen=True)
class ExportRequest:
    """What to export and what to set beside it.

    Attributes:
        run: folder of the finished run.
        out: the bundle's folder; its name becomes the bundle's.
        version, license: as the manifest says them.
        compare: other finished runs whose result is recorded too (teacher, labels only).
        command: the command line, recorded with every metric.
    """

    run: Path
    out: Path
    version: str
    license: str
    compare: tuple[Path, ...]
    command: str


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
        write_onnx(model, CAMVID_NAMES, recipe.data.size, folder / ONNX_NAME)
        write_manifest(folder, _manifest(request, recipe, model, folder / ONNX_NAME, ()))
        draft = load_bundle(folder)
        parity = measure_parity(DeployedSegmenter(model), draft, _parity_frames(recipe))
        require_parity(parity)
        metrics = (
            *_scores(request, draft, recipe.data.val),
            *_compared(request),
            *_parity_metrics(request, parity),
        )
        write_manifest(folder, _manifest(request, recipe, model, folder / ONNX_NAME, metrics))
        load_bundle(folder)
        if request.out.exists():
            shutil.rmtree(request.out)
        shutil.move(str(folder), request.out)
    return load_bundle(request.out), parity


def _parity_frames(recipe: Recipe) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Frames spread over the first validation folder, uint8 [N,H,W,3] RGB."""
    pairs = list_pairs(recipe.data.val[0].path)
    step = max(1, len(pairs) // PARITY_FRAMES)
    return np.stack([read_sample(image, label, recipe.data.size).image for image, label in pairs[::step]])


def _scores(request: ExportRequest, bundle: Bundle, sources: Sequence[SourceSpec]) -> list[Metric]:
    metrics = []
    for source in sources:
        score = evaluate_bundle(bundle, source.path)
        data = f"{source.name} val, {score.frames} frames, onnxruntime"
        metrics.append(Metric(name="miou", value=round(score.miou, 4), data=data, command=request.command))
        for name, value in score.iou.items():
            if not np.isnan(value):
                metrics.append(
                    Metric(name=f"iou/{name}", value=round(value, 4), data=data, command=request.command)
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
    request: ExportRequest, recipe: Recipe, model: Segmenter, onnx: Path, metrics: Sequence[Metric]
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
            precisions={"fp32": ModelFile(file=onnx.name, sha256=sha256_of(onnx))},
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
