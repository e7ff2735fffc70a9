"""Engines as a person in a terminal wants to see them: which work here, and what TensorRT has built."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from .bundle import Bundle
from .engines import DEVICES, engine_problems
from .engines.tensorrt.build import BuildRequest, build_engine
from .engines.tensorrt.cuda import Gpu, find_gpu
from .engines.tensorrt.library import find_library
from .engines.tensorrt.store import EngineStore
from .engines.tensorrt.targets import AMPERE_PLUS, THIS_GPU, has_float8, stored_target
from .errors import EngineError
from .machine import describe_machine
from .terminal import OUT, progress_bars

if TYPE_CHECKING:
    from .bench import Timed


def engines_table(device: str) -> Table:
    """Every engine and whether it can serve the device; `auto` stands for a GPU, then the CPU."""
    table = Table("engine", "device", "", box=None, header_style="dim", pad_edge=False)
    chosen = False
    for place in DEVICES if device == "auto" else (device,):
        for name, problem in engine_problems(place).items():
            if problem is None:
                table.add_row(name, place, Text("ready" if chosen else "ready, chosen by auto", "green"))
                chosen = True
            else:
                table.add_row(name, place, Text(problem, "yellow"))
    return table


def stored_table(store: EngineStore) -> Table | None:
    """The built engines; None if there are none."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("bundle", "precision", "for", "batch", "library", "MB", "file"):
        table.add_column(title)
    for entry in store.entries():
        key = entry.key
        library = f"{key.library} {key.version}{' or newer' if key.version_compatible else ''}"
        size = f"{entry.bytes / 1e6:.1f}"
        table.add_row(
            entry.bundle, key.precision, key.target, str(key.max_batch), library, size, entry.path.name
        )
    return table if table.row_count else None


def print_bench(rows: Sequence[Timed]) -> None:
    """A line for every form that was timed; above, what they ran on, below, what scores are of."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("bundle", "form", "engine"):
        table.add_column(title, overflow="fold")
    for title in ("batch", "start", "again", "p50", "p95", "mIoU", "mAP50"):
        table.add_column(title, justify="right")
    for row in rows:
        times = (row.first_start_s, row.second_start_s, row.p50_ms, row.p95_ms)
        scores = ("-" if score is None else f"{score:.3f}" for score in (row.scores.miou, row.scores.map50))
        name = (row.bundle, row.precision, row.engine, str(row.batch))
        table.add_row(*name, *(f"{value:.2f}" for value in times), *scores)
    engines = dict.fromkeys(row.runs_on.removesuffix(f", {row.precision}") for row in rows)
    OUT.print(f"{describe_machine()}; {'; '.join(engines)}", style="dim", soft_wrap=True)
    OUT.print(table)
    data = ", ".join(sorted({row.scores.data for row in rows if row.scores.data}))
    about = "start, again: seconds to open; p50, p95: milliseconds a call of so many frames"
    OUT.print(about + (f"; scores: {data}" if data else ""), style="dim")


def build_engines(
    bundle: Bundle,
    store: EngineStore,
    precisions: Sequence[str] | None = None,
    targets: Sequence[str] | None = None,
    max_batch: int = 1,
    version_compatible: bool = False,
    device: str = "cuda",
) -> None:
    """Build an engine for every precision and target, with progress, and print where each is.

    FP8 is left out where it was not asked for by name and a target has GPUs without it.

    Raises:
        EngineError: no TensorRT, a target that it cannot build here, or a graph that it does not take.
        BundleError: the bundle has no such precision.
    """
    library = find_library()
    gpu: Gpu | None = None
    try:
        gpu = find_gpu(device)
    except EngineError:
        if THIS_GPU in (targets or ()):
            raise
    for precision in precisions or bundle.manifest.precisions:
        for target in targets or [AMPERE_PLUS if gpu is None else THIS_GPU]:
            if not precisions and precision == "fp8" and not has_float8(stored_target(target, library, gpu)):
                OUT.print(f"fp8 for {target}: left out, it needs Ada, Hopper or newer GPUs")
                continue
            request = BuildRequest(bundle, precision, max_batch, target, version_compatible)
            key = request.key(library, gpu)
            started = time.monotonic()
            with progress_bars() as report:
                build_engine(request, key, library, store, report, must_keep=True)
            took = f"{time.monotonic() - started:.1f} s"
            OUT.print(f"{precision} for {key.target}: {store.folder / key.id}.engine ({took})")
