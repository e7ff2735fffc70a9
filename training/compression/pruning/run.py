"""Prunes a finished run into a new run folder: channels by measured latency, or single weights."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

import torch

from distill_perception.engines.tensorrt.store import engines_kept_in
from training.compression.fake_quant import take_fake_quant
from training.compression.latency import Candidate, latencies_ms
from training.compression.pruning.channels import Widths, prunable_widths, prune_channels
from training.compression.pruning.importance import IMPORTANCE, add_gradients
from training.compression.pruning.masks import PATTERNS
from training.compression.pruning.plans import mildest, sensitive_plans, uniform_plans
from training.compression.pruning.sensitivity import copy_with_gradients, macs_of, scan
from training.compression.spec import ChannelStep, CompressRecipe, QuantizeSpec, SparsityStep
from training.data.module import SampleDataModule
from training.data.sample import Sample, collate
from training.distillation.module import DistillationModule
from training.errors import TrainingError
from training.evaluation.evaluator import Evaluator
from training.evaluation.score_batch import score_batch
from training.export.draft import draft_bundle
from training.export.gate import MAIN_SCORES
from training.models.multi_task import MultiTaskNet
from training.models.shapes import read_shapes, shapes_of
from training.recipe import Recipe
from training.run_folder import load_model, write_untrained
from training.teachers.open import open_teacher


def prune_run(run: Path, step: ChannelStep, recipe: Recipe, spec: CompressRecipe, out: Path) -> None:
    """Cut channels of the network of `run` and write it to `out`, not finetuned yet.

    Args:
        recipe: data, losses and teacher that gradients and sensitivity are taken with.
        spec: engine whose latency decides, its threads, and frames that each latency is the median of.
    """
    model = _network(run)
    size = recipe.data.size
    importance = IMPORTANCE[step.importance]()
    data = SampleDataModule(recipe.data, recipe.optimizer.batch, recipe.seed)
    if step.importance == "taylor":
        _add_gradients(model, recipe, data, step.frames)
    widths = prunable_widths(model, size)
    with tempfile.TemporaryDirectory() as scratch, engines_kept_in(Path(scratch) / "engines"):
        before = _timed(model, step, recipe, Path(scratch) / "before")

        def cut(plan: Widths) -> MultiTaskNet:
            smaller = copy_with_gradients(model)
            prune_channels(smaller, plan, importance, size)
            return smaller

        def latency_share_of(smaller: MultiTaskNet) -> float:
            after = _timed(smaller, step, recipe, Path(scratch) / "after")
            full, pruned = latencies_ms([before, after], spec.engine, spec.rounds, spec.threads, spec.device)
            return pruned / full

        if step.layers == "uniform":
            plans = uniform_plans(widths, step.max_ratio, step.multiple)
        else:
            scores_of = _scorer(recipe, data, step.frames)
            cuts = scan(model, widths, importance, size, step.multiple, scores_of, latency_share_of)
            plans = sensitive_plans(widths, cuts)
        if step.macs < 1:
            all_macs = macs_of(model, size)
            first = mildest(plans, lambda plan: macs_of(cut(plan), size) / all_macs, step.macs, "macs")
            plans = plans[first:]
        chosen = mildest(plans, lambda plan: latency_share_of(cut(plan)), step.latency, "latency")
    smaller = cut(plans[chosen])
    write_untrained(out, recipe, smaller, shapes_of(smaller))


def _timed(model: MultiTaskNet, step: ChannelStep, recipe: Recipe, folder: Path) -> Candidate:
    """`model` in the form whose latency decides; INT8 is calibrated on a frame, as nothing is scored."""
    int8 = QuantizeSpec(frames=1) if step.precision == "int8" else None
    bundle = draft_bundle(model, recipe, folder, int8, fp16=step.precision == "fp16")
    return Candidate(bundle, step.precision)


def require_importance(run: Path, step: ChannelStep, size: tuple[int, int]) -> None:
    """Make sure that the step's importance tells of every group of the network of `run` that it may cut.

    Args:
        size: height, width of a frame to trace the network with.

    Raises:
        TrainingError: see `prune_channels`.
    """
    if step.importance != "bn_scale":
        return  # every layer has weights, and gradients
    model = _network(run)
    strongest = uniform_plans(prunable_widths(model, size), step.max_ratio, step.multiple)[-1]
    prune_channels(model, strongest, IMPORTANCE[step.importance](), size)


def sparsify_run(run: Path, step: SparsityStep, recipe: Recipe, out: Path) -> None:
    """Set weights of the network of `run` to zero and write it to `out`, not finetuned yet."""
    model = _network(run)
    PATTERNS[step.pattern](model, step.share)
    write_untrained(out, recipe, model, read_shapes(run))


def _network(run: Path) -> MultiTaskNet:
    """The network of a run; simulated INT8 is taken out of it."""
    model = load_model(run)[1].to(memory_format=torch.contiguous_format)
    take_fake_quant(model)
    return model


def _add_gradients(model: MultiTaskNet, recipe: Recipe, data: SampleDataModule, frames: int) -> None:
    data.setup("fit")
    teacher = None
    if recipe.teacher is not None:
        teacher = open_teacher(recipe.teacher, data.class_set, model.box_stride)
    module = DistillationModule(recipe, data.class_set, model, data.class_frequencies(), 1, teacher)
    add_gradients(module, islice(data.train_dataloader(), max(1, frames // recipe.optimizer.batch)))


def _scorer(
    recipe: Recipe, data: SampleDataModule, frames: int
) -> Callable[[MultiTaskNet], Mapping[str, float]]:
    """Scores of the tasks on `labelled_frames`."""
    batches = [collate([sample]) for sample in labelled_frames(data, frames)]
    classes = data.class_set

    def scores_of(model: MultiTaskNet) -> Mapping[str, float]:
        evaluator = Evaluator(classes.classes, classes.void_id, recipe.model.tasks, thorough=False)
        with torch.inference_mode():
            for batch in batches:
                score_batch(evaluator, model.eval(), batch, recipe.model.detection.max_detections)
        found = evaluator.compute()
        return {name: found[name] for name in MAIN_SCORES if not math.isnan(found.get(name, math.nan))}

    return scores_of


def labelled_frames(data: SampleDataModule, count: int) -> list[Sample]:
    """About `count` frames spread over the training data: validation is for judging the result.

    A student that learnt from a teacher alone has no labels there; then they are of the first validation
    source.

    Raises:
        TrainingError: neither has labels.
    """
    data.setup("fit")
    assert data.train is not None
    for source in (data.train, data.val[0]):
        samples = [source[index] for index in range(0, len(source), max(1, len(source) // count))]
        if any(sample.has_mask or sample.has_boxes for sample in samples):
            return samples
    raise TrainingError(
        "`layers: sensitivity` scores cut networks, but neither training nor validation frames have labels: "
        "use `layers: uniform`"
    )
