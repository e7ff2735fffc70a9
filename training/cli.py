"""`distill-perception-train`, which `python -m training` is too: train, compress and export a recipe."""

from __future__ import annotations

import errno
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from distill_perception.errors import PerceptionError
from distill_perception.terminal import ERR, complain, show_warnings
from training.allocator import keep_freed_memory
from training.cli_compression import archive_app, compress_command
from training.cli_data import boxes_command, synthetic_command
from training.cli_export import adapt_command, fusion_command, mobile_command, restore_command
from training.cli_hardware import (
    AcceleratorName,
    AcceleratorOption,
    DevicesOption,
    NodesOption,
    StrategyName,
    StrategyOption,
    ThreadsOption,
)
from training.cli_size import METAVAR, height_and_width
from training.cli_teacher import teacher_app
from training.home import home_expanded
from training.quiet import quiet_libraries
from training.score_lines import NO_SCORES, UNASKED, score_lines

app = typer.Typer(
    help="Offline half of distill_perception: train teachers, distil students, export bundles.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # rich takes "[default: ...]" for a colour
)


class CalibratorName(str, Enum):
    """Keys of training.compression.calibration.CALIBRATORS."""

    max = "max"
    percentile = "percentile"
    entropy = "entropy"
    mse = "mse"


@app.command("train")
def train_command(
    recipe: Annotated[
        Path, typer.Argument(help="Recipe YAML, for example training/recipes/camvid_teacher.yaml.")
    ],
    out: Annotated[Path | None, typer.Option(help="Run folder; runs/NAME by default.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the folder's last checkpoint.")
    ] = False,
    threads: ThreadsOption = 0,
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    strategy: StrategyOption = StrategyName.auto,
    accelerator: AcceleratorOption = AcceleratorName.auto,
) -> None:
    """Train a teacher or distil a student as the recipe says."""
    from lightning.pytorch.utilities import rank_zero_only

    from training.hardware import Hardware
    from training.recipe import load_recipe
    from training.train import set_threads, train

    set_threads(threads)
    hardware = Hardware(devices, nodes, strategy.value, accelerator.value)
    spec = load_recipe(recipe)
    folder = out or Path("runs") / spec.name
    try:
        metrics = train(spec, folder, resume, hardware)
    except KeyboardInterrupt:
        rank_zero_only(ERR.print)(
            f"stopped; every finished epoch is kept: go on with --out {folder} --resume"
        )
        raise typer.Exit(130) from None
    if rank_zero_only.rank != 0:
        return  # one process speaks for all
    last = (spec.plain_stages(folder) or [("", spec)])[-1][1]
    for line in score_lines(metrics, UNASKED if last.recalls_teacher else NO_SCORES):
        typer.echo(line)
    typer.echo(f"run folder: {folder}")


@app.command("ablate")
def ablate_command(
    ablation: Annotated[
        Path, typer.Argument(help="Ablation YAML, for example training/recipes/ablation.yaml.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run folders.")],
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Train just this run, or those of a pattern: kl_s1, 'kl_s*'."),
    ] = None,
    threads: ThreadsOption = 0,
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    strategy: StrategyOption = StrategyName.auto,
    accelerator: AcceleratorOption = AcceleratorName.auto,
) -> None:
    """Train a recipe with several lists of distillation losses and seeds, and with labels only.

    Goes on where an earlier call stopped. Afterwards: distill-perception compare OUT --ablation.
    """
    from lightning.pytorch.utilities import rank_zero_only

    from training.ablation import Ablation, ablate
    from training.hardware import Hardware
    from training.recipe import read_spec
    from training.train import set_threads

    set_threads(threads)
    hardware = Hardware(devices, nodes, strategy.value, accelerator.value)
    try:
        ablate(read_spec(ablation, Ablation), out, rank_zero_only(ERR.print), hardware, only or ())
    except KeyboardInterrupt:
        rank_zero_only(ERR.print)("stopped; every finished epoch is kept: the same command goes on")
        raise typer.Exit(130) from None
    if rank_zero_only.rank == 0:  # one process speaks for all
        typer.echo(f"compare them: distill-perception compare {out} --ablation")


@app.command("average")
def average_command(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs of one network with one model.init.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    share: Annotated[
        float, typer.Option(min=0, max=1, help="How far to go from their start (0) to their mean (1).")
    ] = 1.0,
) -> None:
    """Average the weights of runs that went on from one start: other seeds, other losses."""
    from training.average import average_runs

    for line in score_lines(average_runs(runs, out, share)):
        typer.echo(line)
    typer.echo(f"run folder: {out}")


@app.command("evaluate")
def evaluate_command(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs.")],
) -> None:
    """Score finished runs anew on their recipes' validation data; the scores replace those of before."""
    from training.evaluate import evaluate_run

    for run in runs:
        typer.echo(f"{run}")
        for line in score_lines(evaluate_run(run)):
            typer.echo(f"    {line}")


@app.command("table")
def table_command(
    recipes: Annotated[
        list[Path] | None, typer.Argument(help="Recipes or run folders; the whole family if none is named.")
    ] = None,
    size: Annotated[str, typer.Option(metavar=METAVAR, help="Size that the work is counted at.")] = "480x360",
) -> None:
    """Parameters and multiply-accumulates of networks."""
    from training.data.class_sets import class_set
    from training.models.shapes import read_shapes
    from training.models.table import family, model_row, render
    from training.recipe import load_recipe
    from training.run_folder import RECIPE

    pixels = height_and_width(size)
    rows = [] if recipes else [model_row("", spec, 11, 3, pixels) for spec in family()]
    for path in recipes or ():
        recipe = load_recipe(path / RECIPE if path.is_dir() else path)
        classes = class_set(recipe.data.class_set)
        shapes = read_shapes(path) if path.is_dir() else None
        counts = (len(classes.classes), len(classes.things))
        rows.append(model_row(recipe.name, recipe.model, *counts, pixels, shapes))
    Console().print(render(rows, pixels))


@app.command("losses")
def losses_command(
    recipe: Annotated[Path, typer.Argument(help="Recipe YAML, or a run folder whose recipe is meant.")],
    run: Annotated[
        Path | None, typer.Option(help="Finished run whose weights the student has, not the recipe's start.")
    ] = None,
    stage: Annotated[
        str | None,
        typer.Option(
            help="Stage of a recipe with stages; the first if left out. Those before it are looked for in "
            "runs/NAME: for another place, give the run folder in place of the recipe."
        ),
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Training frames to look at.")] = 32,
    threads: ThreadsOption = 0,
) -> None:
    """Which loss decides: the gradient that each sends into the encoder, which all tasks share."""
    from rich.table import Table

    from training.loss_shares import loss_shares, require_stage_before, stage_of
    from training.recipe import load_recipe
    from training.run_folder import recipe_file
    from training.train import set_threads

    set_threads(threads)
    spec = load_recipe(recipe_file(recipe) if recipe.is_dir() else recipe)
    folder = recipe if recipe.is_dir() else Path("runs") / spec.name
    spec = stage_of(spec, stage, folder)
    if run is None:
        require_stage_before(spec, stage, folder)
    table = Table("loss", title=f"Losses of {spec.name}")
    for column in ("weight", "value", "weighted gradient", "share"):
        table.add_column(column, justify="right")
    for item in loss_shares(spec, run, frames):
        numbers = (f"{item.weight:g}", f"{item.value:.3g}", f"{item.gradient:.3g}", f"{item.share:.0%}")
        table.add_row(item.name, *numbers)
    Console().print(table)


@app.command("export")
def export_command(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    out: Annotated[Path, typer.Option(help="Bundle folder to write; its name becomes the bundle's name.")],
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "1.0.0",
    license_: Annotated[
        str, typer.Option("--license", help="Licence of the weights, as the manifest says it.")
    ] = ("Apache-2.0"),
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="Another finished run to record beside it: teacher, labels only."),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also write an INT8 form; --calibration says on which frames.")
    ] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Also write an FP16 form, for GPUs.")] = False,
    fp8: Annotated[
        bool, typer.Option("--fp8", help="Also write an FP8 form, for Ada, Hopper and newer GPUs.")
    ] = False,
    calibrator: Annotated[
        CalibratorName, typer.Option(help="How INT8 ranges follow from the calibration frames.")
    ] = CalibratorName.max,
    calibration: Annotated[
        Path | None,
        typer.Option(help="Bag, or folder of pictures, to calibrate on. [default: the training frames]"),
    ] = None,
    symmetric: Annotated[
        bool, typer.Option("--symmetric", help="INT8 activations without zero point, as TensorRT takes.")
    ] = False,
    float_layers: Annotated[
        list[str] | None,
        typer.Option(help="Layers that INT8 and FP8 leave out, by name or pattern: 'detection_head.*'."),
    ] = None,
    max_float_layers: Annotated[
        int, typer.Option(min=0, help="More that it may leave, the fewest that keep its scores in budget.")
    ] = 0,
    max_drop: Annotated[
        float,
        typer.Option(
            min=0,
            help="What INT8, FP16 and FP8 may lose in mIoU before export stops; 0.01 is a point. "
            "Where no validation frame has labels, they are judged by FP32's own answers.",
        ),
    ] = 0.01,
    max_map50_drop: Annotated[
        float | None, typer.Option(min=0, help="The same in mAP50. [default: as much as in mIoU]")
    ] = None,
) -> None:
    """Write a run as a bundle: ONNX with pre- and post-processing, parity gate, scores, manifest."""
    from training.compression.spec import QuantizeSpec
    from training.data.source_spec import frames_at
    from training.export.gate import Budget
    from training.export.write_bundle import ExportRequest, write_bundle
    from training.provenance import command_line

    if calibration is not None and not (int8 or fp8):
        raise typer.BadParameter("--calibration is for --int8 or --fp8, of which there is neither")
    activations = "symmetric" if symmetric else "asymmetric"
    form = QuantizeSpec(
        calibrator=calibrator.value,
        source=None if calibration is None else frames_at(calibration),
        activations=activations,
        float_layers=tuple(float_layers or ()),
        max_float_layers=max_float_layers,
    )
    request = ExportRequest(
        run,
        out,
        version,
        license_,
        tuple(compare or ()),
        command_line(),
        int8=form if int8 else None,
        budget=Budget(max_drop, max_map50_drop=max_map50_drop),
        fp16=fp16,
        fp8=form if fp8 else None,
    )
    bundle, parity = write_bundle(request)
    for result in parity:
        for line in result.summary:
            typer.echo(line)
    for metric in bundle.manifest.metrics:
        typer.echo(f"{metric.name:26s} {metric.value:<8g} {metric.data}")
    typer.echo(f"bundle: {bundle.path}")


app.command("boxes")(boxes_command)
app.command("synthetic")(synthetic_command)
app.command("compress")(compress_command)
app.command("fusion")(fusion_command)
app.command("mobile")(mobile_command)
app.command("adapt")(adapt_command)
app.command("restore")(restore_command)
app.add_typer(archive_app, name="archive")
app.add_typer(teacher_app, name="teacher")


def main() -> None:
    """Entry point: project errors become one line and exit code 2."""
    quiet_libraries()
    show_warnings()
    keep_freed_memory()
    try:
        app(home_expanded(sys.argv[1:]), prog_name="distill-perception-train")
    except PerceptionError as error:
        complain(str(error))
        sys.exit(2)
    except OSError as error:
        complain(_in_words(error))
        sys.exit(2)


def _in_words(error: OSError) -> str:
    """What the system says and of which file, without the error's number."""
    file = error.filename2 or error.filename  # the second is where a copy or a new name was to go
    place = "" if file is None else f"{file}: "
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return f"{place}{error.strerror or error}" + ("; make room, or choose another --out" if full else "")
