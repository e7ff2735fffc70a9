"""The command `distill-perception compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..cli_options import expanded, write_file
from ..terminal import OUT

if TYPE_CHECKING:
    from .comparison import Comparison


def compare_command(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Run folder of a training, a bundle, a replay's results, or a folder of such.",
            callback=expanded,
        ),
    ],
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|GROUP",
            help="Show differences to this group, paired by seed; a run stands for its whole group.",
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            metavar="NAME",
            help="Metric to show, or a pattern such as 'iou/camvid/*'; may be repeated. The first one ranks. "
            "Default: all but the scores by class.",
        ),
    ] = None,
    ablation: Annotated[
        bool,
        typer.Option(
            "--ablation",
            help="Markdown table of losses instead; the baseline is the recipe without any, if not given.",
        ),
    ] = False,
    markdown: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the table as Markdown.", callback=expanded),
    ] = None,
    json_: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="FILE",
            help="Write all numbers, those by class too, as JSON.",
            callback=expanded,
        ),
    ] = None,
    figures: Annotated[
        list[Path] | None,
        typer.Option(
            "--figure",
            metavar="FILE",
            help="Draw the first metric over latency (MACs if nobody measured) as .png, .svg or .pdf; "
            "may be repeated. Needs matplotlib.",
            callback=expanded,
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="Whose latency the figure shows, e.g. openvino. [default: what most runs have]"),
    ] = None,
) -> None:
    """Compare finished runs: one table with mean and spread over seeds.

    Runs whose recipes differ only in the seed (and in a seed at the end of their name: kl_s1, kl_s2) are
    one row. Unfinished runs, and what is no run, are left out and listed.

    A table of all runs:  distill-perception compare runs

    What distillation gains:  distill-perception compare runs/kl_s* runs/labels_s* --baseline runs/labels_s1

    By class:  distill-perception compare runs -m 'iou/camvid/*'

    Engines and precisions:  distill-perception compare replay_fp32 replay_int8 --figure speed.png
    """
    from .ablation import ablation_table, compare_losses
    from .comparison import compare
    from .figure import check_figure
    from .show import markdown as as_markdown
    from .show import print_comparison

    for path in figures or []:
        check_figure(path)
    if engine and not figures:
        raise typer.BadParameter("--engine chooses the latency of a figure: give --figure FILE too")
    comparison = (compare_losses if ablation else compare)(runs, baseline, metrics or ())
    if ablation:
        text = ablation_table(comparison, comparison.metrics if metrics else comparison.metrics[:1]) + "\n"
        typer.echo(text, nl=False)
    else:
        text = as_markdown(comparison)
        print_comparison(comparison, OUT)
    if markdown:
        write_file(markdown, text)
    if json_:
        _write_json(json_, comparison)
    if figures:
        _draw(comparison, engine, figures)


def _write_json(path: Path, comparison: Comparison) -> None:
    from .show import as_json

    write_file(path, json.dumps(as_json(comparison), indent=2) + "\n")


def _draw(comparison: Comparison, engine: str | None, paths: list[Path]) -> None:
    from .figure import draw
    from .points import cloud

    shown = cloud(comparison, engine)
    for path in paths:
        draw(shown, path)
    if shown.left_out:
        OUT.print(f"not in the figure, for want of a cost: {', '.join(shown.left_out)}", style="dim")
