"""Latency of every precision of bundles on every CPU engine, beside SegFormer-B0 in eager torch, in one run.

    python -m benchmarks.cpu_latency --bundle camvid_lite0 --out benchmarks/results/cpu_latency.json

SegFormer-B0 (Xie et al. 2021, https://arxiv.org/abs/2105.15203) is what Hugging Face's `transformers` builds
by default, with as many classes as the bundle and random weights, which are as fast as trained ones. Both get
one camera frame in host memory and give its mask. All take turns. `distill-perception engine bench` is the
same without SegFormer, on any device.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from distill_perception.bench import noise, open_forms, take_turns
from distill_perception.bundle import load_bundle
from distill_perception.commit import git_hash
from distill_perception.engines import EngineSettings
from distill_perception.machine import cpus, describe_machine
from distill_perception.terminal import progress_bars

SEGFORMER = "SegFormer-B0"


def segformer(classes: int, size: tuple[int, int]) -> Callable[[NDArray[np.uint8]], object]:
    """SegFormer-B0 as its users run it: frame to float, network, logits enlarged to the frame, argmax."""
    config = SegformerConfig()
    config.num_labels = classes
    network = SegformerForSemanticSegmentation(config).eval()

    @torch.inference_mode()
    def infer(frame: NDArray[np.uint8]) -> object:
        logits = network(torch.from_numpy(frame).permute(0, 3, 1, 2).float() / 255).logits
        full = torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)
        return full.argmax(1).to(torch.uint8).numpy()

    return infer


def main(
    bundle: Annotated[
        list[str] | None, typer.Option(help="Bundle to measure, by name or path; repeatable. [camvid_lite0]")
    ] = None,
    rounds: Annotated[int, typer.Option(min=10, help="Timed frames of each.")] = 60,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0: one for each core.")] = 0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file to write.")] = None,
) -> None:
    """Measure on this machine's CPU; run it while nothing else does work."""
    count = threads or cpus()
    torch.set_num_threads(count)
    bundles = [load_bundle(item) for item in bundle or ["camvid_lite0"]]
    manifest = bundles[0].manifest
    size = (manifest.input.height, manifest.input.width)
    if any(item.manifest.input != manifest.input for item in bundles):
        raise typer.BadParameter("bundles must all take frames of the same size", param_hint="--bundle")
    rows: list[dict[str, Any]] = [{"engine": "torch, eager", "network": SEGFORMER, "precision": "fp32"}]
    with progress_bars() as report, open_forms(bundles, EngineSettings(threads=count)) as forms:
        rows += [{"engine": form.name, "network": form.label, "precision": form.precision} for form in forms]
        calls = [segformer(len(manifest.classes), size), *(form.engine.infer for form in forms)]
        times = take_turns([partial(call, noise(1, size)) for call in calls], rounds, report)
    slowest = float(np.median(times[0]))
    for row, taken in zip(rows, times, strict=True):
        p50 = float(np.median(taken))
        row |= {"p50_ms": round(p50, 2), "p95_ms": round(float(np.percentile(taken, 95)), 2)}
        row["times_as_fast_as_segformer"] = round(slowest / p50, 1)
    table = Table(*rows[0], title=f"one frame of {size[1]}x{size[0]}, {count} threads")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=130).print(table)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "machine": describe_machine(),
            "git_hash": git_hash(),
            "size": size,
            "threads": count,
            "rounds": rounds,
            "rows": rows,
        }
        out.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
