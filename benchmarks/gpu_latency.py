"""Latency of every precision of a bundle on every engine that can use this machine's GPU.

    python benchmarks/gpu_latency.py --bundle camvid_lite0 --out benchmarks/results/gpu_latency.json

Times are of whole calls: frames in host memory in, results in host memory out. The first opening builds
TensorRT's engine, the second loads it; both are timed. Refuses to run without an NVIDIA GPU.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from distill_perception.bundle import Bundle, load_bundle
from distill_perception.engines import EngineSettings, engine_problems, open_engine
from distill_perception.engines.tensorrt.cuda import find_gpu
from distill_perception.engines.tensorrt.store import VARIABLE
from distill_perception.errors import EngineError

WARM_UP = 20


def batch_sizes(text: str) -> list[int]:
    """Numbers from 1 on, separated by commas."""
    try:
        sizes = [int(word) for word in text.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes) < 1:
        raise typer.BadParameter(f"'{text}' is not a list such as 1,4")
    return sizes


def measure(bundle: Bundle, engine: str, settings: EngineSettings, calls: int) -> dict[str, Any]:
    """Opening, cold and warm, and the latency of single calls with frames of noise."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ[VARIABLE] = cache  # its own: an engine built before for a larger batch would serve too
        return _measure(bundle, engine, settings, calls)


def _measure(bundle: Bundle, engine: str, settings: EngineSettings, calls: int) -> dict[str, Any]:
    opening = []
    for _ in range(2):
        started = time.perf_counter()
        opened = open_engine(bundle, engine, settings)
        opening.append(time.perf_counter() - started)
        if len(opening) == 1:
            opened.close()
    shape = (settings.max_batch, *opened.input_size, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    times = []
    for _ in range(WARM_UP + calls):
        started = time.perf_counter()
        opened.infer(frames)
        times.append((time.perf_counter() - started) * 1e3)
    result = {
        "engine": opened.description,
        "precision": opened.precision,
        "batch": settings.max_batch,
        "first_start_s": round(opening[0], 2),
        "second_start_s": round(opening[1], 2),
        **{f"p{p}_ms": round(float(np.percentile(times[WARM_UP:], p)), 3) for p in (50, 95, 99)},
    }
    opened.close()
    return result


def main(
    bundle: Annotated[str, typer.Option(help="Bundle to measure, by name or path.")] = "camvid_lite0",
    device: Annotated[str, typer.Option(help="cuda, cuda:1, ...")] = "cuda",
    batches: Annotated[str, typer.Option(help="Frames at once, separated by commas.")] = "1,4",
    calls: Annotated[int, typer.Option(min=10, help="Timed calls of each.")] = 300,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file to write.")] = None,
) -> None:
    """Measure a bundle on this machine's GPU; run it while nothing else uses the GPU."""
    sizes = batch_sizes(batches)
    try:
        find_gpu(device)
    except EngineError as error:
        typer.echo(f"error: device '{device}': {error}; this benchmark needs an NVIDIA GPU", err=True)
        raise typer.Exit(2) from None
    problems = engine_problems(device)
    for name in (name for name, problem in problems.items() if problem is not None):
        typer.echo(f"without {name}: {problems[name]}", err=True)
    engines = [name for name, problem in problems.items() if problem is None]
    if not engines:
        raise typer.Exit(2)
    loaded = load_bundle(bundle)
    rows = []
    for engine, precision, batch in product(engines, loaded.manifest.precisions, sizes):
        try:
            rows.append(measure(loaded, engine, EngineSettings(precision, device, max_batch=batch), calls))
        except EngineError as error:  # FP8 on an older GPU, for example
            typer.echo(f"without {precision} on {engine}: {error}", err=True)
    if not rows:
        raise typer.Exit(2)
    table = Table(*rows[0], title=f"{loaded.manifest.name} on {device}")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console(width=150).print(table)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"bundle": bundle, "device": device, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
