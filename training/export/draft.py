"""A bundle's graphs with the least of manifests: no gate, no scores. What is measured, or made complete."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from distill_perception.bundle import (
    Bundle,
    InputSpec,
    Manifest,
    ModelFile,
    load_bundle,
    sha256_of,
    write_manifest,
)
from training.compression.fake_quant import take_fake_quant
from training.compression.float8 import write_float8
from training.compression.half import write_half
from training.compression.layer_names import matching
from training.compression.quantize import Quantizer
from training.compression.sensitive_layers import fewest_float_layers
from training.compression.spec import QuantizeSpec
from training.data.class_sets import class_set
from training.data.resize import Resized
from training.data.source_spec import SourceSpec
from training.data.sources import open_source
from training.export.forms import judged_forms
from training.export.gate import Budget, judges, score_form
from training.export.graph import DeployedNet, write_onnx
from training.export.layers import conv_nodes
from training.models.multi_task import MultiTaskNet
from training.recipe import Recipe

ONNX_NAME = "student.onnx"
FP16_NAME = "student_fp16.onnx"
FP8_NAME = "student_fp8.onnx"
INT8_NAME = "student_int8.onnx"


def draft_bundle(
    model: MultiTaskNet,
    recipe: Recipe,
    folder: Path,
    int8: QuantizeSpec | None = None,
    budget: Budget = Budget(),
    fp16: bool = False,
    fp8: QuantizeSpec | None = None,
) -> Bundle:
    """Write `model` as a bundle into an empty or new `folder`; simulated INT8 is taken out of it.

    Args:
        int8: also write an INT8 form.
        budget: what it may lose before layers are left in FP32, if `int8` allows that.
        fp16: also write an FP16 form.
        fp8: also write an FP8 form, with these frames and these layers in FP16.

    Raises:
        TrainingError: no calibration frame, or INT8 loses too much with as many FP32 layers as allowed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    classes = class_set(recipe.data.class_set)
    trained = take_fake_quant(model)
    net = DeployedNet(model, recipe.model.detection.max_detections)
    write_onnx(net, classes.names, recipe.data.size, folder / ONNX_NAME)
    files = {"fp32": _file(folder / ONNX_NAME)}
    if fp16:
        frame = next(frames_of(recipe, recipe.data.train, 1))
        write_half(folder / ONNX_NAME, folder / FP16_NAME, frame)
        files["fp16"] = _file(folder / FP16_NAME)
    if fp8 is not None:
        layers = tuple(conv_nodes(onnx.load(str(folder / ONNX_NAME)).graph))
        kept = matching(layers, fp8.float_layers)
        write_float8(folder / ONNX_NAME, folder / FP8_NAME, _calibration_frames(recipe, fp8), kept)
        files["fp8"] = _file(folder / FP8_NAME)
    height, width = recipe.data.size
    manifest = Manifest(
        name="draft",
        version="0",
        tasks=net.tasks,
        classes=classes.classes,
        void_id=classes.void_id,
        input=InputSpec(height=height, width=width, channel_order="rgb", resize=recipe.data.resize),
        precisions=files,
        license="none",
    )
    write_manifest(folder, manifest)
    if int8 is not None:
        frames = _calibration_frames(recipe, int8)
        if recipe.model.qat is not None:  # the form that training has seen
            int8 = int8.model_copy(update={"activations": recipe.model.qat})
        quantizer = Quantizer(folder / ONNX_NAME, frames, int8, trained)
        kept = matching(quantizer.layers, (*int8.float_layers, *recipe.model.qat_float_layers))
        _write_int8(folder, manifest, quantizer, kept)
        if int8.max_float_layers:
            _leave_layers_in_float(folder, manifest, quantizer, recipe, frames, int8, kept, budget)
    return load_bundle(folder)


def _calibration_frames(recipe: Recipe, spec: QuantizeSpec) -> list[NDArray[np.uint8]]:
    sources = recipe.data.train if spec.source is None else [spec.source]
    return list(frames_of(recipe, sources, spec.frames))


def frames_of(recipe: Recipe, sources: Sequence[SourceSpec], count: int) -> Iterator[NDArray[np.uint8]]:
    """About `count` frames, evenly from sources of any classes: uint8 [H,W,3] RGB of the recipe's size."""
    size, resize = recipe.data.size, recipe.data.resize
    opened = [Resized(open_source(source), size, resize) for source in sources]
    step = max(1, sum(map(len, opened)) // count)
    places = [(source, index) for source in opened for index in range(len(source))]
    return (source[index].image for source, index in places[::step])


def _leave_layers_in_float(
    folder: Path,
    manifest: Manifest,
    quantizer: Quantizer,
    recipe: Recipe,
    frames: Sequence[NDArray[np.uint8]],
    int8: QuantizeSpec,
    kept: Collection[str],
    budget: Budget,
) -> None:
    bundle = load_bundle(folder)
    judging = [judge for judge in judges(bundle, recipe, budget) if judge.counted_from]

    def fits(float_layers: Collection[str]) -> bool:
        """Whether INT8 keeps its budget on every engine; leaves the INT8 form with these layers behind."""
        _write_int8(folder, manifest, quantizer, {*kept, *float_layers})
        bundle = load_bundle(folder)
        forms = [form for form in judged_forms(bundle, ["cpu"]) if form.precision == "int8"]
        return not any(
            judge.complaint(form.name, score_form(bundle, judge, form)) for judge in judging for form in forms
        )

    chosen = fewest_float_layers(quantizer, folder / ONNX_NAME, frames, fits, int8.max_float_layers, kept)
    _write_int8(folder, manifest, quantizer, {*kept, *chosen})


def _write_int8(
    folder: Path, manifest: Manifest, quantizer: Quantizer, float_layers: Collection[str]
) -> None:
    quantizer.write(folder / INT8_NAME, float_layers)
    precisions = {**manifest.precisions, "int8": _file(folder / INT8_NAME)}
    write_manifest(folder, manifest.model_copy(update={"precisions": precisions}))


def _file(path: Path) -> ModelFile:
    return ModelFile(file=path.name, sha256=sha256_of(path))
