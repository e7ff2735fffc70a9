"""A bundle to measure with: graph and the least of manifests, no gate, no scores."""

from __future__ import annotations

from pathlib import Path

from distill_perception.bundle import (
    Bundle,
    InputSpec,
    Manifest,
    ModelFile,
    load_bundle,
    sha256_of,
    write_manifest,
)
from training.data.class_sets import class_set
from training.export.graph import DeployedNet, write_onnx
from training.models.multi_task import MultiTaskNet
from training.recipe import Recipe


def draft_bundle(model: MultiTaskNet, recipe: Recipe, folder: Path) -> Bundle:
    """Write `model` as an fp32 bundle into an empty or new `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    classes = class_set(recipe.data.class_set)
    net = DeployedNet(model, recipe.model.detection.max_detections)
    path = folder / "student.onnx"
    write_onnx(net, classes.names, recipe.data.size, path)
    height, width = recipe.data.size
    manifest = Manifest(
        name="draft",
        version="0",
        tasks=net.tasks,
        classes=classes.classes,
        void_id=classes.void_id,
        input=InputSpec(height=height, width=width),
        precisions={"fp32": ModelFile(file=path.name, sha256=sha256_of(path))},
        license="none",
    )
    write_manifest(folder, manifest)
    return load_bundle(folder)
