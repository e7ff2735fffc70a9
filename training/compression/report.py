"""The table of a compression, as Markdown, JSON and a figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from distill_perception.compare.figure import draw
from distill_perception.compare.points import Cloud
from distill_perception.compare.points import Point as FigurePoint
from distill_perception.markdown import markdown_table
from training.compression.points import Measured, drop_of, pareto
from training.export.gate import ALL_SCORES, MAIN_SCORES

MOST_LOST = 0.1  # a pruned network that was not finetuned would squeeze all others into a line
TITLES = {"miou": "mIoU", "map50": "mAP50", "map": "mAP"}


def table(measured: Sequence[Measured]) -> str:
    """One row a point, GitHub Markdown."""
    engines = list(measured[0].latency_ms)
    scores = [name for name in ALL_SCORES if name in measured[0].point.scores]
    head = ["step", "file MB", "parameters M", "zeros", "GMACs", *(f"{engine} ms" for engine in engines)]
    rows = []
    for item in measured:
        point = item.point
        rows.append(
            [
                point.name,
                f"{point.size_bytes / 1e6:.2f}",
                f"{point.parameters / 1e6:.3f}",
                f"{point.zeros:.0%}",
                f"{point.macs / 1e9:.3f}",
                *(f"{item.latency_ms[engine]:.2f}" for engine in engines),
                *(f"{point.scores[name] * 100:.2f}" if name in point.scores else "-" for name in scores),
            ]
        )
    return markdown_table([*head, *(TITLES[name] for name in scores)], rows)


def write_report(
    folder: Path,
    title: str,
    about: Sequence[str],
    measured: Sequence[Measured],
    engine: str,
    chosen: str,
    refused: Mapping[str, str],
) -> None:
    """Write report.md, report.json and pareto.png into `folder`.

    Args:
        about: sentences under the title: machine, engines, data.
        chosen: name of the point that was taken, or why none was.
        refused: what the gate had let not pass before, by the point's name.
    """
    front = ", ".join(item.point.name for item in pareto(measured, engine))
    full = measured[0].point.scores
    near = [item for item in measured if drop_of(full, item.point.scores) <= MOST_LOST]
    lines = [f"# {title}", "", *about, "", table(measured), "", f"Pareto front on {engine}: {front}.", ""]
    for name, why in refused.items():
        lines += [f"Refused: {name}: {why}", ""]
    lines += [f"Taken: {chosen}", "", "![mIoU over latency](pareto.png)", ""]
    if far := [item.point.name for item in measured if item not in near]:
        lines += [
            f"Not in the figure, as they lose over {MOST_LOST * 100:g} points: {', '.join(far)}.",
            "",
        ]
    (folder / "report.md").write_text("\n".join(lines))
    rows = [{**asdict(item), "drop": drop_of(full, item.point.scores)} for item in measured]
    report = {"about": list(about), "chosen": chosen, "refused": dict(refused), "points": rows}
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    score = next((name for name in MAIN_SCORES if name in full), None)
    if score is not None:
        points = tuple(
            FigurePoint(
                item.point.name,
                item.latency_ms[engine],
                item.point.scores[score] * 100,
                None,
                item is measured[0],
            )
            for item in near
        )
        cloud = Cloud(f"latency, ms a frame ({engine})", f"{TITLES[score]}, %", points, ())
        draw(cloud, folder / "pareto.png")
