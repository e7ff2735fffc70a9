"""Runs a compress recipe: its steps one after the other, a table after each, the best point as a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from distill_perception.bundle import Bundle, load_bundle
from distill_perception.engines import available_engines
from distill_perception.engines.tensorrt.store import engines_kept_in
from distill_perception.machine import cpus, describe_machine
from training.compression.check import checked_recipe
from training.compression.latency import Candidate, described, latencies_ms
from training.compression.points import Measured, Point, choose, most_lost, read_point, write_point
from training.compression.pruning.masks import zero_share
from training.compression.report import table, write_report
from training.compression.resume import start
from training.compression.spec import CompressRecipe, SparsityStep
from training.compression.steps import STEPS, Outcome, do, outcome, step_folder
from training.data.class_sets import class_set
from training.data.sources import open_source
from training.data.sources.base import Mapped
from training.errors import GateError, TrainingError
from training.export.draft import draft_bundle
from training.export.evaluate import evaluate_bundle
from training.export.gate import ALL_SCORES, SCORE_OF, Budget
from training.export.graph import DeployedNet
from training.export.pass_gate import pass_gate
from training.export.write_bundle import ExportRequest, write_bundle
from training.models.multi_task import MultiTaskNet
from training.models.shapes import read_shapes
from training.models.table import model_row
from training.provenance import git_hash
from training.recipe import Recipe
from training.run_folder import load_model

BUNDLE, ENGINES, START = "bundle", "engines", "00_start"


def compress(
    spec: CompressRecipe,
    folder: Path,
    resume: bool = False,
    command: str = "",
    say: Callable[[str], None] = print,
) -> Bundle:
    """Run every step into `folder`/steps, then write the report and the chosen point's bundle.

    A step that ended is not done again with `resume`; a training within one goes on from its last epoch.
    TensorRT's engines of the points are kept in `folder`/engines, as each table measures all points anew.

    Args:
        command: recorded in the bundle's manifest. say: gets the table after every step.

    Raises:
        TrainingError: see `checked_recipe`; `folder` is taken, the start does not pass the gate (parity with
            torch, INT8 in budget), a step cannot be done, or no point keeps the limits and passes it; then
            the report is written.
    """
    recipe = checked_recipe(spec, folder)
    start(spec, folder, resume)
    with engines_kept_in(folder / ENGINES):
        run = spec.run
        outcomes, points = {START: Outcome(run, run)}, []
        points.append(_point(spec, folder, START, outcomes[START], recipe, lambda: None, Budget()))
        budget = _budget(spec, points[0], recipe)
        for number, step in enumerate(spec.steps, 1):
            place = step_folder(folder, number, step)
            name = place.name
            sparse = any(isinstance(earlier, SparsityStep) for earlier in spec.steps[:number])
            fresh = read_point(place) is None
            work = partial(do, step, run, place, recipe, spec, sparse)
            outcomes[name] = outcome(step, run, place)
            points.append(_point(spec, folder, name, outcomes[name], recipe, work, budget))
            run = outcomes[name].next
            if fresh or number == len(spec.steps):
                measured = _measure(spec, folder, points)
                say(table(measured) + "\n")
        return _finish(spec, folder, recipe, measured, outcomes, command, budget, say)


def _budget(spec: CompressRecipe, begin: Point, recipe: Recipe) -> Budget:
    """What points may lose against the start.

    Raises:
        TrainingError: one of its tasks has no labels to be scored on.
    """
    unscored = [task for task in recipe.model.tasks if SCORE_OF[task] not in begin.scores]
    if unscored:
        raise TrainingError(
            f"{recipe.data.val[0].name}: it has no labels for {' and '.join(unscored)}, so that nobody could "
            "say what a step loses: name a labelled source first in data.val, or give the compress recipe a "
            "data section with one"
        )
    own = None if spec.max_map50_drop is None else spec.max_map50_drop / 100
    return Budget(spec.max_miou_drop / 100, begin.scores, own)


def _point(
    spec: CompressRecipe,
    folder: Path,
    name: str,
    made: Outcome,
    recipe: Recipe,
    work: Callable[[], None],
    budget: Budget,
) -> Point:
    """The point of a step, done before or now."""
    place = folder / STEPS / name
    point = read_point(place)
    if point is not None:
        return point
    place.mkdir(parents=True, exist_ok=True)
    work()
    own, model = load_model(made.run)
    own = own.model_copy(update={"data": recipe.data})
    classes = class_set(own.data.class_set)
    zeros = zero_share(model)
    bundle = draft_bundle(model, own, place / BUNDLE, made.int8, budget)
    if name == START:
        _require_gate(bundle, model, own, spec.run)
    precision = "fp32" if made.int8 is None else "int8"
    counts = (len(classes.classes), len(classes.things))
    row = model_row(name, own.model, *counts, own.data.size, read_shapes(made.run))
    first = own.data.val[0]
    source = Mapped(open_source(first), classes, first.classes)
    values = evaluate_bundle(bundle, source, first.name, spec.engine, precision, spec.device).values
    point = Point(
        name=name,
        precision=precision,
        size_bytes=(made.archive or bundle.model_path(precision)).stat().st_size,
        parameters=row.parameters,
        zeros=zeros,
        macs=row.macs,
        scores={key: values[key] for key in ALL_SCORES if key in values},
    )
    write_point(place, point)
    return point


def _require_gate(bundle: Bundle, model: MultiTaskNet, recipe: Recipe, run: Path) -> None:
    """What the start fails at, the steps' networks mostly do too; their trainings may take hours."""
    net = DeployedNet(model, recipe.model.detection.max_detections)
    try:
        pass_gate(bundle, net, recipe, Budget(), "")
    except GateError as error:
        raise TrainingError(f"run: the gate refuses {run} itself, before any step: {error}") from error


def _measure(spec: CompressRecipe, folder: Path, points: Sequence[Point]) -> list[Measured]:
    """All points' latencies on every engine, in turns."""
    bundles = [load_bundle(folder / STEPS / point.name / BUNDLE) for point in points]
    candidates = [Candidate(bundle, point.precision) for bundle, point in zip(bundles, points, strict=True)]
    found = {
        engine: latencies_ms(candidates, engine, spec.rounds, spec.threads) for engine in available_engines()
    }
    if spec.target not in found:
        found[spec.target] = latencies_ms(candidates, spec.engine, spec.rounds, spec.threads, spec.device)
    return [
        Measured(point, {engine: times[index] for engine, times in found.items()})
        for index, point in enumerate(points)
    ]


def _finish(
    spec: CompressRecipe,
    folder: Path,
    recipe: Recipe,
    measured: Sequence[Measured],
    outcomes: Mapping[str, Outcome],
    command: str,
    budget: Budget,
    say: Callable[[str], None],
) -> Bundle:
    """Report, choice, gate; where that refuses the best point, the next one.

    Raises:
        TrainingError: no point keeps the limits and passes the gate.
    """
    about = [
        f"Start: `{spec.run}`. Scores on {recipe.data.val[0].name} with {spec.target}, latencies: "
        f"median of {spec.rounds} single frames, all points in turns, "
        f"{describe_machine()}, {spec.threads or cpus()} threads. "
        f"Budget: {most_lost(budget)}.",
        f"Commit {git_hash()}, `{command}`.",
    ]
    if spec.device != "cpu":
        first = Candidate(load_bundle(folder / STEPS / START / BUNDLE))
        about.append(f"`{spec.target}`: {described(first, spec.engine, spec.device)}.")
    refused: dict[str, str] = {}
    while True:
        try:
            chosen = choose(measured, spec.target, budget, spec.latency_ms, refused).point
        except TrainingError as error:
            write_report(folder, spec.name, about, measured, spec.target, str(error), refused)
            raise
        write_report(folder, spec.name, about, measured, spec.target, chosen.name, refused)
        made = outcomes[chosen.name]
        request = ExportRequest(
            made.run,
            folder / BUNDLE / spec.name,
            "1.0.0",
            "Apache-2.0",
            (),
            command,
            made.int8,
            budget,
            fp16=True,
            data=recipe.data,
        )
        try:
            return _gated(request, say)
        except GateError as error:
            refused[chosen.name] = str(error)
            say(f"{chosen.name} is refused: {error}\n")


def _gated(request: ExportRequest, say: Callable[[str], None]) -> Bundle:
    """The bundle with FP16 in it, or without where the gate refuses it for that form.

    Raises:
        GateError: it is refused for another form.
    """
    try:
        return write_bundle(request)[0]
    except GateError as error:
        if error.precision != "fp16":
            raise
        bundle = write_bundle(replace(request, fp16=False))[0]
        say(f"FP16 is left out of the bundle: {error}\n")
        return bundle
