"""Writes a run as a bundle: graph, parity gate, scores, manifest. A failed step leaves nothing behind."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill_perception.bundle import (
    Bundle,
    Manifest,
    Metric,
    Provenance,
    load_bundle,
    write_manifest,
)
from distill_perception.engines.tensorrt.store import engines_kept_in
from training.compression.spec import QuantizeSpec
from training.data.class_set import ClassSet
from training.data.class_sets import class_set
from training.data.spec import DataSpec
from training.errors import TrainingError
from training.export.draft import draft_bundle
from training.export.gate import MAIN_SCORES, Budget
from training.export.graph import DeployedNet
from training.export.parity import Parity
from training.export.pass_gate import pass_gate
from training.export.place import check_place, put, scratch_beside, tell_lost_forms
from training.models.multi_task import MultiTaskNet, count_parameters
from training.models.shapes import SHAPES
from training.recipe import Recipe, load_recipe
from training.run_folder import PROVENANCE, RECIPE, RESULT, load_model, read_json
from training.teachers.spec import title


@dataclass(frozen=True)
class ExportRequest:
    """What to export and what to set beside it.

    Attributes:
        run: folder of the finished run.
        out: the bundle's folder; its name becomes the bundle's.
        version, license: as the manifest says them.
        compare: other finished runs whose result is recorded too (teacher, labels only).
        command: the command line, recorded with every metric.
        int8: also write an INT8 form, calibrated like this.
        fp16: also write an FP16 form.
        fp8: also write an FP8 form, with these calibration frames and these layers in FP16.
        data: calibrate and score on these frames instead of the run's.
        budget: what each of the reduced precisions may lose.
    """

    run: Path
    out: Path
    version: str
    license: str
    compare: tuple[Path, ...]
    command: str
    int8: QuantizeSpec | None = None
    budget: Budget = field(default_factory=Budget)
    fp16: bool = False
    fp8: QuantizeSpec | None = None
    data: DataSpec | None = None


def write_bundle(request: ExportRequest) -> tuple[Bundle, list[Parity]]:
    """Export, check and score a run.

    Raises:
        TrainingError: something else is at `out`, its name is no bundle's, nothing can be written there, or a
            run is not finished.
        GateError: the engines do not agree with torch, or a reduced precision loses too much.
    """
    check_place(request.out)
    trained, model = load_model(request.run)
    recipe = trained if request.data is None else trained.model_copy(update={"data": request.data})
    classes = class_set(recipe.data.class_set)
    compared = compared_scores(request)
    wanted = {"fp16": request.fp16, "fp8": request.fp8, "int8": request.int8}
    tell_lost_forms(request.out, ["fp32", *(form for form, asked in wanted.items() if asked)])
    with (
        scratch_beside(request.out, ".export-") as scratch,
        engines_kept_in(scratch / ".engines"),  # no bundle can have that name
    ):
        folder = scratch / request.out.name
        draft = draft_bundle(model, recipe, folder, request.int8, request.budget, request.fp16, request.fp8)
        net = DeployedNet(model, recipe.model.detection.max_detections)
        parity, scores = pass_gate(draft, net, recipe, request.budget, request.command)
        metrics = (*scores, *compared, *_parity_metrics(request, parity))
        write_manifest(folder, _manifest(request, trained, net, classes, draft.manifest, metrics))
        _write_origin(request, folder)
        load_bundle(folder)
        put(folder, request.out)
    return load_bundle(request.out), parity


def _write_origin(request: ExportRequest, folder: Path) -> None:
    """Recipe, and shapes of a pruned network: with them `restore` makes a run of the bundle again."""
    for name in (RECIPE, SHAPES):
        if (request.run / name).is_file():
            shutil.copyfile(request.run / name, folder / name)


def compared_scores(request: ExportRequest) -> list[Metric]:
    """Main scores of the run, as trained, and of those that are set beside it."""
    metrics = []
    for run in (request.run, *request.compare):
        result, provenance = read_json(run, RESULT), read_json(run, PROVENANCE)
        if "restored" in provenance:
            continue  # trained by another run, whose scores these are
        for name, value in result["metrics"].items():
            kind, _, source = name.partition("/")
            if kind in MAIN_SCORES and value is not None:
                data = f"{source} val, torch, {_trained(run, result, provenance)}"
                command = provenance.get("evaluated", provenance)["command"]
                metrics.append(
                    Metric(name=f"{kind}/torch", value=round(value, 4), data=data, command=command)
                )
    return metrics


def _trained(run: Path, result: dict[str, Any], provenance: dict[str, Any]) -> str:
    """A run, or a teacher that `distill-perception-train teacher score` has scored."""
    commit = provenance["git_hash"][:12]
    if "teacher_spec" in provenance:
        return f"{run.name}: {provenance['teacher']}, all views, {commit}"
    name = load_recipe(run / RECIPE).name
    return f"run {name}, {result['epochs']} epochs, seed {provenance['seed']}, {commit}"


def _parity_metrics(request: ExportRequest, parity: Iterable[Parity]) -> list[Metric]:
    metrics = []
    for result in parity:
        values = {
            "mask_agreement_with_torch": result.mask_agreement,
            "box_agreement_with_torch": result.box_agreement,
            "max_logit_difference_from_torch": result.max_logit_difference,
            "mean_logit_difference_from_torch": result.mean_logit_difference,
        }
        for name, value in values.items():
            if value is not None:
                data = f"{result.frames} val frames, {result.engine}"
                metrics.append(Metric(name=name, value=round(value, 6), data=data, command=request.command))
    return metrics


def _manifest(
    request: ExportRequest,
    recipe: Recipe,
    net: DeployedNet,
    classes: ClassSet,
    draft: Manifest,
    metrics: Sequence[Metric],
) -> Manifest:
    provenance = read_json(request.run, PROVENANCE)
    try:
        return Manifest(
            name=request.out.name,
            version=request.version,
            description=_description(recipe, net.model),
            tasks=net.tasks,
            classes=classes.classes,
            void_id=classes.void_id,
            input=draft.input,
            precisions=draft.precisions,
            provenance=Provenance(
                data=", ".join(source.name for source in recipe.data.train),
                recipe=recipe.name,
                git_hash=provenance["git_hash"],
                seed=provenance["seed"],
                teacher="none, labels only" if recipe.teacher is None else title(recipe.teacher),
                date=provenance["date"],
                command=provenance["command"],
            ),
            metrics=tuple(metrics),
            license=request.license,
        )
    except ValueError as error:
        raise TrainingError(f"cannot describe {request.out} in a manifest: {error}") from error


def _description(recipe: Recipe, model: MultiTaskNet) -> str:
    return f"{recipe.model.encoder}, {count_parameters(model) / 1e6:.2f} M parameters"
