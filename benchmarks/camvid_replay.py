"""Replays the CamVid validation drive through the real node in real time and keeps the result.

    python benchmarks/camvid_replay.py --data data/camvid/val

Writes `benchmarks/results/camvid_val_replay.json`: drops, mIoU, latency by stage at 15 Hz, and the mIoU of a
replay in which every frame waits for the one before (nothing can be dropped).
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from distill_perception.bags.make_bag import make_bag
from distill_perception.replay.player import PlayOptions
from distill_perception.replay.run import ReplayOptions, replay

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "camvid_val_replay.json"
RATE_HZ = 15.0


def main(
    data: Annotated[Path, typer.Option(help="Labelled folder of the drive.")] = Path("data/camvid/val"),
    bundle: Annotated[str, typer.Option(help="Bundle to serve.")] = "models/camvid_lite0",
    engine: Annotated[str, typer.Option(help="Engine to serve it with.")] = "auto",
    keep: Annotated[Path | None, typer.Option(help="Keep report, video and metrics in this folder.")] = None,
) -> None:
    """Replay the drive at 15 Hz and in lockstep; write the record that the documents show."""
    with tempfile.TemporaryDirectory() as scratch:
        bag = Path(scratch) / "drive"
        make_bag(data, bag, RATE_HZ, bundle=bundle)
        out = keep or Path(scratch) / "out"
        play = PlayOptions(lockstep=True)
        lockstep = _metrics(ReplayOptions(bag, bundle, out / "lockstep", engine=engine, play=play))
        # Latency is of what a vehicle publishes, accuracy in masks is the same.
        vehicle = ("score_threshold:=0.3",)
        realtime = _metrics(
            ReplayOptions(bag, bundle, out / "realtime", engine=engine, node_parameters=vehicle)
        )
    record = {
        **realtime,
        "bag": "CamVid val, 101 frames",
        "rate_hz": RATE_HZ,
        "miou_lockstep": lockstep["miou"],
        "dropped_lockstep": lockstep["dropped"],
        "command": "python benchmarks/camvid_replay.py",
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(record, indent=2) + "\n")
    typer.echo(json.dumps(record, indent=2))


def _metrics(options: ReplayOptions) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(replay(options).metrics.read_text())
    return metrics


if __name__ == "__main__":
    typer.run(main)
