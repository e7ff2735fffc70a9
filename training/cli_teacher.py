"""The commands that ask a teacher ahead of training: `teacher fill`, `teacher label`, `teacher score`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from distill_perception.compare.grid import quantity
from distill_perception.terminal import ERR, progress_bars
from training.data.source_spec import FORMATS
from training.errors import TrainingError
from training.score_lines import score_lines

# Those that need no more than a path.
PATH_FORMATS = [
    name
    for name, spec in FORMATS.items()
    if not any(field.is_required() for key, field in spec.model_fields.items() if key not in ("name", "path"))
]

teacher_app = typer.Typer(no_args_is_help=True, help="Ask a teacher ahead of training.")

RecipeFile = Annotated[Path, typer.Argument(help="Recipe with `teacher` and `data` sections.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Frames that the teacher sees at once.")]


@teacher_app.command("fill")
def fill_command(recipe: RecipeFile, batch: BatchSize = 4) -> None:
    """Ask the teacher about every training frame that its cache lacks; stop and resume at will."""
    from training.teachers.cache.fill import fill_frames
    from training.teachers.sections import open_cached_teacher, read_sections, training_frames

    sections = read_sections(recipe)
    cached = open_cached_teacher(sections)
    with _stopped_at_will():
        count = fill_frames(cached, training_frames(sections), batch)
    typer.echo(f"{count.asked} frames asked, {count.found} were there, {cached.store.size() / 1e6:.1f} MB")
    typer.echo(f"cache: {cached.store.folder}")


@teacher_app.command("label")
def label_command(
    recipe: RecipeFile,
    data: Annotated[Path, typer.Option(help="Frames to label: a folder, or a bag.")],
    out: Annotated[Path, typer.Option(help="Labelled folder to write, or to go on with.")],
    format_: Annotated[
        str | None,
        typer.Option(
            "--format", help=f"What `data` is, if neither a bag nor pictures: {', '.join(PATH_FORMATS)}."
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(help="Least probability of a pixel's class; void below.")
    ] = 0.8,
    class_confidence: Annotated[
        list[str] | None, typer.Option(help="CLASS=VALUE: another one for this class.")
    ] = None,
    score: Annotated[float, typer.Option(help="Least score of a box.")] = 0.5,
    batch: BatchSize = 4,
) -> None:
    """Label frames with the recipe's teacher, as a folder to train on; stop and resume at will."""
    from training.run_folder import refuse_unwritable
    from training.teachers.pseudo.label import pseudo_label
    from training.teachers.pseudo.labels import Thresholds
    from training.teachers.sections import frames_to_label, open_plain_teacher, read_sections, student_classes

    sections = read_sections(recipe)
    thresholds = Thresholds(confidence, dict(_pair(text) for text in class_confidence or []), score)
    source = frames_to_label(data, format_)
    refuse_unwritable(out)
    teacher, classes = open_plain_teacher(sections), student_classes(sections)
    with _stopped_at_will(), progress_bars() as report:
        pseudo_label(teacher, source, classes, out, thresholds, batch, sections.about(), report)
    typer.echo(f"labelled folder: {out}")


@teacher_app.command("score")
def score_command(
    recipe: RecipeFile,
    out: Annotated[Path, typer.Option(help="Folder to write, for `distill-perception compare`.")],
    batch: BatchSize = 4,
) -> None:
    """Score the recipe's teacher, with all its members and views, on the recipe's validation data."""
    from training.teachers.score import check_folder, score_teacher, teacher_cost, write_teacher_scores
    from training.teachers.sections import open_plain_teacher, read_sections, recipe_data

    sections = read_sections(recipe)
    data = recipe_data(sections)
    check_folder(out)
    teacher = open_plain_teacher(sections)
    scores = score_teacher(teacher, data, batch)
    cost = teacher_cost(teacher, data.size)
    write_teacher_scores(out, scores, cost, sections.about())
    for line in score_lines({key: scores[key] for key in scores if key.startswith(("miou/", "map50/"))}):
        typer.echo(line)
    height, width = data.size
    typer.echo(f"{quantity(cost.macs)} multiply-accumulates a frame of {width}x{height}")
    typer.echo(f"scores: {out}")


def _pair(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    try:
        return name, float(value if equals else "")
    except ValueError as error:
        raise TrainingError(f"--class-confidence {text}: write CLASS=VALUE, for example pole=0.5") from error


@contextmanager
def _stopped_at_will() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        ERR.print("stopped; what is written is kept: run the same command again to go on", soft_wrap=True)
        raise typer.Exit(130) from None
