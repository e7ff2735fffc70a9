"""The self-contained report.html of a replay."""

from __future__ import annotations

from pathlib import Path

from ...manifest import Manifest
from ..evaluation import Evaluation
from ..examples import Examples
from ..results_folder import write_result
from ..run_info import RunInfo
from .page import page
from .pictures import figures


def write_report(
    path: Path, manifest: Manifest, evaluation: Evaluation, info: RunInfo, examples: Examples
) -> None:
    """Write the report to `path`.

    Args:
        manifest: the bundle's.
        evaluation: the numbers.
        info: where they come from.
        examples: the frames to show.

    Raises:
        ReplayError: it cannot be written.
    """
    best, worst = examples.best(), examples.worst()
    if best:
        groups = [("Best frames", best), ("Worst frames", worst)]
    else:
        groups = [("Frames of the drive", examples.evenly_spaced())]
    shown = [
        (heading, figures(items, manifest.classes, len(info.topics) > 1))
        for heading, items in groups
        if items
    ]
    write_result(path, page(manifest, evaluation, info, shown))
