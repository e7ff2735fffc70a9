"""How fast bundles are on this machine: every precision on every engine, in turns, beside what it scores."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle, Manifest
from .compare.points import Cloud, Point
from .engines import DEVICES, Engine, EngineSettings, available_engines, engines_by_precision, open_engine
from .errors import EngineError
from .terminal import Report, warn

WARM_UP = 5


@dataclass(frozen=True)
class Form:
    """A bundle's precision in the engine `name`, open, which took start_s: TensorRT builds or loads."""

    bundle: Bundle
    precision: str
    name: str
    engine: Engine
    batch: int
    start_s: float

    def frames(self) -> NDArray[np.uint8]:
        """Noise of the shape that the engine takes: uint8 [batch,H,W,3]."""
        shape = (self.batch, *self.engine.input_size, 3)
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@dataclass(frozen=True)
class Timed:
    """A line of the table. Times are of whole calls: frames in host memory in, answers in host memory out.

    miou, map50: what the manifest says of this precision on this engine; None if nobody measured it.
    """

    bundle: str
    precision: str
    engine: str
    runs_on: str
    batch: int
    start_s: float
    p50_ms: float
    p95_ms: float
    miou: float | None
    map50: float | None


def bench_device(device: str) -> str:
    """`auto` as the device that an engine would run on here."""
    if device != "auto":
        return device
    return next((place for place in DEVICES if available_engines(place)), DEVICES[-1])


def open_forms(
    bundles: Sequence[Bundle], settings: EngineSettings, batches: Sequence[int] = (1,)
) -> list[Form]:
    """Open every precision on every engine that can serve the device, for each number of frames at once.

    What an engine cannot open is left out with a warning. A bundle for a fixed number of frames gets
    that one.

    Args:
        settings: device (not `auto`), threads, progress; precision and batch are filled in.

    Raises:
        EngineError: nothing could be opened.
    """
    forms = []
    for bundle in bundles:
        for engine, precision in engines_by_precision(bundle, settings.device):
            # An engine that TensorRT built for more frames would serve fewer too, so the fewest come first
            for batch in sorted({bundle.manifest.input.batch or batch for batch in batches}):
                wanted = replace(settings, precision=precision, max_batch=batch)
                begin = time.monotonic()
                try:
                    opened = open_engine(bundle, engine, wanted)
                except EngineError as error:  # FP8 on an older GPU, for example
                    warn(f"left out: {bundle.manifest.name} {precision} on {engine}: {error}")
                    continue
                forms.append(Form(bundle, precision, engine, opened, batch, time.monotonic() - begin))
    if not forms:
        raise EngineError(
            f"no engine runs these bundles on device '{settings.device}'; "
            "`distill-perception engine list` says why"
        )
    return forms


def take_turns(calls: Sequence[Callable[[], object]], rounds: int, report: Report) -> NDArray[np.float64]:
    """Milliseconds that each call took in each round: float64 [calls,rounds].

    All take turns, in an order that changes with each round, so that the machine's drift, and what the one
    before leaves in caches and threads, hits all alike. `WARM_UP` rounds go before, untimed.
    """
    times = np.zeros((len(calls), rounds))
    for turn in range(-WARM_UP, rounds):
        for index in np.random.default_rng(turn + WARM_UP).permutation(len(calls)):
            begin = time.perf_counter()
            calls[index]()
            if turn >= 0:
                times[index, turn] = (time.perf_counter() - begin) * 1e3
        report("rounds", turn + 1 + WARM_UP, rounds + WARM_UP)
    return times


def bench(forms: Sequence[Form], rounds: int, report: Report) -> list[Timed]:
    """Time every form, all in turns; they are closed afterwards."""
    try:
        calls = [partial(form.engine.infer, form.frames()) for form in forms]
        times = take_turns(calls, rounds, report)
    finally:
        for form in forms:
            form.engine.close()
    rows = []
    for form, taken in zip(forms, times, strict=True):
        manifest = form.bundle.manifest
        scores = form_scores(manifest, form.name, form.precision)
        p50, p95 = (float(np.percentile(taken, percent)) for percent in (50, 95))
        rows.append(
            Timed(
                manifest.name,
                form.precision,
                form.name,
                form.engine.description,
                form.batch,
                round(form.start_s, 2),
                round(p50, 2),
                round(p95, 2),
                scores.get("miou"),
                scores.get("map50"),
            )
        )
    return rows


def form_scores(manifest: Manifest, engine: str, precision: str) -> dict[str, float]:
    """What the manifest says that a precision scores on an engine, on the first data set that it names."""
    names = [f"{precision} on {engine}"]
    if (engine, precision) == ("tensorrt", "int8"):
        names.append("int8 as TensorRT rounds it")
    found: dict[str, float] = {}
    for metric in manifest.metrics:
        if metric.data.rpartition(", ")[2] in names:
            found.setdefault(metric.name, metric.value)
    return found


def accuracy_over_latency(rows: Sequence[Timed]) -> Cloud:
    """The rows as points of a figure, by what tells them apart; those without a score are left out."""
    words = [(row.bundle, row.precision, row.engine, f"{row.batch} at once") for row in rows]
    differ = [len(set(column)) > 1 for column in zip(*words, strict=True)]
    named = [
        (" ".join(word for word, differs in zip(texts, differ, strict=True) if differs) or texts[0], row)
        for texts, row in zip(words, rows, strict=True)
    ]
    return Cloud(
        "latency, ms a call",
        "mIoU",
        tuple(Point(name, row.p50_ms, row.miou, None, False) for name, row in named if row.miou is not None),
        tuple(name for name, row in named if row.miou is None),
    )
