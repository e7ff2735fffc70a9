"""How fast bundles are on this machine: every precision on every engine, in turns, beside what it scores."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle, Manifest
from .compare.points import Cloud, Point
from .engines import DEVICES, Engine, EngineSettings, available_engines, engines_by_precision, open_engine
from .engines.tensorrt.store import engines_kept_in
from .errors import BundleError, ConfigError, EngineError
from .progress import Progress, silent
from .terminal import warn
from .vision.geometry import Size

WARM_UP = 5


@dataclass(frozen=True)
class Form:
    """A precision of a bundle in the engine `name`, open.

    first_start_s, second_start_s: how long opening took without and with what the first time left behind:
    TensorRT builds, and loads what it has built.
    """

    bundle: Bundle
    label: str
    precision: str
    name: str
    engine: Engine
    batch: int
    first_start_s: float
    second_start_s: float


@dataclass(frozen=True)
class Scores:
    """What a manifest says of a form on one data set; None: nobody measured it."""

    data: str = ""
    miou: float | None = None
    map50: float | None = None


@dataclass(frozen=True)
class Timed:
    """A line of the table. Times are of whole calls: frames in host memory in, answers in host memory out."""

    bundle: str
    precision: str
    engine: str
    runs_on: str
    batch: int
    first_start_s: float
    second_start_s: float
    p50_ms: float
    p95_ms: float
    scores: Scores


def bench_device(device: str) -> str:
    """`auto` as the device that an engine would run on here.

    Raises:
        EngineError: no engine can serve the device.
    """
    for place in DEVICES if device == "auto" else (device.lower(),):
        if available_engines(place):
            return place
    raise EngineError(
        f"no engine serves device '{device}' here; `distill-perception engine list --device {device}` "
        "says why"
    )


@contextmanager
def open_forms(
    bundles: Sequence[Bundle], settings: EngineSettings, batches: Sequence[int] = (1,)
) -> Iterator[list[Form]]:
    """Every precision on every engine that can serve the device, for each number of frames at once.

    What an engine cannot open is left out with a warning. A bundle for a fixed number of frames gets that.
    TensorRT's engines are built into a cache of their own, as one for more frames would serve fewer too.

    Args:
        settings: device (not `auto`), threads, progress; precision and batch are filled in.

    Raises:
        EngineError: nothing could be opened.
    """
    names = [bundle.manifest.name for bundle in bundles]
    with ExitStack() as stack:
        forms = []
        for bundle, name in zip(bundles, names, strict=True):
            label = name if names.count(name) == 1 else str(bundle.path)
            for engine, precision in engines_by_precision(bundle, settings.device):
                for batch in sorted({bundle.manifest.input.batch or batch for batch in batches}):
                    wanted = replace(settings, precision=precision, max_batch=batch)
                    cache = stack.enter_context(tempfile.TemporaryDirectory())
                    try:
                        opened, *took = _open_twice(bundle, engine, wanted, cache)
                    except (EngineError, BundleError) as error:  # FP8 on an older GPU, for example
                        warn(f"left out: {label} {precision} on {engine}: {error}")
                        continue
                    stack.callback(opened.close)
                    forms.append(Form(bundle, label, precision, engine, opened, batch, *took))
        if not forms:
            raise EngineError("nothing could be opened; the warnings above say why")
        yield forms


def _open_twice(
    bundle: Bundle, engine: str, settings: EngineSettings, cache: str
) -> tuple[Engine, float, float]:
    with engines_kept_in(Path(cache)):
        begin = time.monotonic()
        open_engine(bundle, engine, settings).close()
        between = time.monotonic()
        opened = open_engine(bundle, engine, settings)
        return opened, between - begin, time.monotonic() - between


def noise(batch: int, size: Size) -> NDArray[np.uint8]:
    """Frames of noise, which take as long as any: uint8 [batch,H,W,3]."""
    return np.random.default_rng(0).integers(0, 256, (batch, *size, 3), np.uint8)


def take_turns(
    calls: Sequence[Callable[[], object]], rounds: int, report: Progress = silent
) -> NDArray[np.float64]:
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


def bench(forms: Sequence[Form], rounds: int, report: Progress) -> list[Timed]:
    """Time every form, all in turns."""
    calls = [partial(form.engine.infer, noise(form.batch, form.engine.input_size)) for form in forms]
    times = take_turns(calls, rounds, report)
    return [
        Timed(
            form.label,
            form.precision,
            form.name,
            form.engine.description,
            form.batch,
            round(form.first_start_s, 2),
            round(form.second_start_s, 2),
            round(float(np.percentile(taken, 50)), 2),
            round(float(np.percentile(taken, 95)), 2),
            form_scores(form.bundle.manifest, form.name, form.precision),
        )
        for form, taken in zip(forms, times, strict=True)
    ]


def form_scores(manifest: Manifest, engine: str, precision: str) -> Scores:
    """What the manifest says that a precision scores on an engine, on the first data set that it names.

    Agreement with FP32's answers, which bundles of unlabelled frames have, is no score.
    """
    ways = [f"{precision} on {engine}"]
    if (engine, precision) == ("tensorrt", "int8"):
        ways.append("int8 as TensorRT rounds it")
    for way in ways:
        pattern = re.compile(rf"(.+ val, \d+ frames), {re.escape(way)}(, .+)?")  # a GPU is named behind
        found = [(match[1], item) for item in manifest.metrics if (match := pattern.fullmatch(item.data))]
        scored = [data for data, item in found if item.name in ("miou", "map50")]
        if scored:
            values = {item.name: item.value for data, item in reversed(found) if data == scored[0]}
            return Scores(scored[0], values.get("miou"), values.get("map50"))
    return Scores()


def check_scored(forms: Sequence[Form]) -> None:
    """Refuse a figure that would have no point, before anything is timed.

    Raises:
        ConfigError: no manifest says what one of the forms scores.
    """
    found = (form_scores(form.bundle.manifest, form.name, form.precision) for form in forms)
    if all(scores.miou is None for scores in found):
        raise ConfigError("no manifest says a mIoU of what is timed: leave --figure out")


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
        tuple(
            Point(name, row.p50_ms, row.scores.miou, None, False)
            for name, row in named
            if row.scores.miou is not None
        ),
        tuple(name for name, row in named if row.scores.miou is None),
    )
