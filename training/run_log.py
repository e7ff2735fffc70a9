"""The log of a run, metrics.csv: kept over a resume, joined over stages."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger

Row = dict[str, float]

LOG = "log"
METRICS = "metrics.csv"


def read_rows(folder: Path) -> list[Row]:
    """The rows of a run's log, each without its empty cells; `step` and `epoch` are whole numbers.

    A last row that was cut off by a full disk or a kill is left out.
    """
    path = folder / LOG / METRICS
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = ({key: text for key, text in row.items() if text} for row in csv.DictReader(file))
        whole = (row for row in rows if {"step", "epoch"} <= row.keys())
        return [{key: _number(key, text) for key, text in row.items()} for row in whole]


def _number(key: str, text: str) -> float:
    return int(text) if key in ("step", "epoch") else float(text)


def write_rows(folder: Path, rows: Sequence[Row]) -> None:
    """Write a run's log."""
    keys = sorted(set().union(*rows))
    path = folder / LOG / METRICS
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows(rows)


def joined(logs: Sequence[Sequence[Row]]) -> list[Row]:
    """Logs of consecutive stages as one, steps and epochs counted on."""
    rows: list[Row] = []
    step = epoch = 0
    for log in logs:
        rows += [{**row, "step": row["step"] + step, "epoch": row["epoch"] + epoch} for row in log]
        if rows:
            step, epoch = (int(max(row[key] for row in rows)) + 1 for key in ("step", "epoch"))
    return rows


def new_logger(folder: Path) -> CSVLogger:
    """Lightning's logger of a run. It writes every row at once: a killed run lacks none of its epochs."""
    return CSVLogger(folder, name="", version=LOG, flush_logs_every_n_steps=1)


def keep_rows(logger: CSVLogger, folder: Path, epochs: int) -> None:
    """Start the log of a run that has `epochs` epochs behind it.

    Left alone, Lightning deletes what is there. Rows of an epoch that was cut off go, as it is done again.
    """
    rows = [row for row in read_rows(folder) if row["epoch"] < epochs]
    shutil.rmtree(folder / LOG, ignore_errors=True)
    if rows:
        logger.experiment.metrics = rows
        logger.experiment.save()
