"""A whole replay: open, play, score, write the results folder."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from ..bags.mask_spool import MaskSpool
from ..bags.reader import Bag, BagFrame, open_bag
from ..bundle import Bundle, load_bundle
from ..engines import EngineSettings
from ..errors import PerceptionError, ReplayError
from ..manifest import Manifest
from ..metrics import LOWEST_SCORE
from ..progress import Progress, silent
from ..terminal import warn
from .evaluation import Evaluation, ScoredFrame, evaluate, measured
from .examples import Examples
from .in_process import perceive_bag
from .label_checks import check_labels
from .node_process import NodeOptions
from .overlay_video import OverlayVideo, frame_rate
from .player import PlayOptions, play
from .recording import Recording
from .report import write_report
from .results_folder import METRICS, NODE_LOG, REPORT, VIDEO, results_folder, write_metrics
from .run_info import RunInfo, run_info
from .topics import played_topics

# Average precision counts detections of any score; a picture full of them would show nothing, and shows those
# that a node publishes by default.
SHOWN_FROM = 0.3


@dataclass(frozen=True)
class ReplayOptions:
    """Everything that `distill-perception replay` can be told."""

    bag: Path
    bundle: str
    out: Path
    topics: tuple[str, ...] = ()
    engine: str = "auto"
    settings: EngineSettings = field(default_factory=EngineSettings)
    node_parameters: tuple[str, ...] = ()
    in_process: bool = False
    play: PlayOptions = field(default_factory=PlayOptions)
    labels: bool = True
    video: bool = True


@dataclass(frozen=True)
class Outcome:
    """What a replay left behind. video is None if none was written."""

    evaluation: Evaluation
    info: RunInfo
    metrics: Path
    report: Path
    video: Path | None


def replay(options: ReplayOptions, progress: Progress = silent) -> Outcome:
    """Play a bag through the perception stack and write metrics.json, report.html and overlay.mp4.

    Raises:
        BagError: the bag cannot be read.
        ReplayError: its labels do not fit the bundle, the node fails, or results cannot be written.
        BundleError, EngineError: the bundle cannot be loaded or run.
    """
    if not math.isfinite(options.play.rate):
        raise ReplayError(f"--rate {options.play.rate} is no pace; --as-fast-as-possible plays without one")
    bundle = load_bundle(options.bundle)
    # Its images are looked through too: two of one stamp would end the replay when all but them was played.
    bag = open_bag(
        options.bag, options.topics, options.labels, index_images=True, tell=partial(progress, "reading")
    )
    check_labels(bag, bundle.manifest)
    _keep_out_of(options.bag, options.out)
    with results_folder(options.out), MaskSpool() as masks:
        with _stopping_told(options, "playing"):
            recording = _record(options, bag, bundle, masks, progress)
        if not recording.results:
            raise ReplayError("stopped before the first frame; nothing was written")
        return _write_results(options, bag, bundle, recording, progress)


def _keep_out_of(bag: Path, out: Path) -> None:
    """A recording is not the place for results."""
    if bag.is_dir() and out.resolve().is_relative_to(bag.resolve()):
        raise ReplayError(f"{out} is in the recording itself; give another folder with --out")


@contextmanager
def _stopping_told(options: ReplayOptions, what: str) -> Iterator[None]:
    """Say which results Ctrl-C has left: half of them look like all."""
    try:
        yield
    except KeyboardInterrupt:
        names = (METRICS, REPORT, *([VIDEO] if options.video else ()))
        there = [name for name in names if (options.out / name).is_file()]
        missing = ", ".join(name for name in names if name not in there)
        found = ", ".join(there) or "no results"
        warn(f"stopped while {what}: {options.out} has {found}; missing: {missing}")
        raise


def _record(
    options: ReplayOptions, bag: Bag, bundle: Bundle, masks: MaskSpool, progress: Progress
) -> Recording:
    def tell(sent: int, answered: int) -> None:
        progress("playing", sent, bag.frame_count)

    if options.in_process:
        return perceive_bag(bag, bundle, options.engine, options.settings, masks, tell)
    node = NodeOptions(
        bundle=str(bundle.path.resolve()),
        cameras=tuple(played_topics(bag).values()),
        engine=options.engine,
        precision=options.settings.precision,
        device=options.settings.device,
        threads=options.settings.threads,
        extra=(f"score_threshold:={LOWEST_SCORE}", *_lossless(options), *options.node_parameters),
    )
    return play(bag, node, bundle.manifest, options.play, masks, options.out / NODE_LOG, tell)


def _lossless(options: ReplayOptions) -> tuple[str, ...]:
    """In lockstep every frame counts, however long it waits; at the bag's pace it is as on a vehicle."""
    return ("qos_reliability:=reliable", "max_age_ms:=0.0") if options.play.lockstep else ()


def _write_results(
    options: ReplayOptions, bag: Bag, bundle: Bundle, recording: Recording, progress: Progress
) -> Outcome:
    manifest, info = bundle.manifest, _info(options, bag, bundle, recording)
    metrics, report, video = (options.out / name for name in (METRICS, REPORT, VIDEO))
    with _stopping_told(options, "scoring, so there are no scores"):
        try:
            evaluation, examples = _score(options, bag, manifest, recording, progress)
        except (PerceptionError, KeyboardInterrupt) as error:  # what was played must not be lost with it
            reason = str(error) or "stopped while scoring"
            write_metrics(metrics, {**measured(recording, reason).metrics(), **info.as_dict()})
            if isinstance(error, KeyboardInterrupt):
                raise
            raise ReplayError(f"{error}; {metrics} has latency and drops, without scores") from error
    with _stopping_told(options, "writing the report"):
        write_metrics(metrics, {**evaluation.metrics(), **info.as_dict()})
        write_report(report, manifest, evaluation, info, examples)
    return Outcome(evaluation, info, metrics, report, video if video.is_file() else None)


def _score(
    options: ReplayOptions, bag: Bag, manifest: Manifest, recording: Recording, progress: Progress
) -> tuple[Evaluation, Examples]:
    """Pass the drive by once more: scores, the report's pictures and, if wanted, the video."""
    examples = Examples(len(recording.results))
    # Who chose a threshold sees what it lets through.
    lowest = SHOWN_FROM if recording.score_threshold == LOWEST_SCORE else 0.0
    count = 0
    with ExitStack() as stack:
        video = None
        if options.video:  # of the first camera
            topic = bag.topics[0]
            rate_hz = frame_rate([r.key[1] for r in recording.results if r.key[0] == topic])
            video = OverlayVideo(options.out / VIDEO, topic, rate_hz, manifest.classes)
            stack.enter_context(video)

        def visit(frame: BagFrame, scored: ScoredFrame, mask: np.ndarray | None) -> None:
            nonlocal count
            shown = _shown(scored, lowest)
            examples.visit(frame, shown, mask)
            if video:
                video.visit(frame, shown, mask)
            count += 1
            progress("scoring", count, len(recording.results))

        return evaluate(bag, recording, manifest, visit), examples


def _info(options: ReplayOptions, bag: Bag, bundle: Bundle, recording: Recording) -> RunInfo:
    mode, rate = _mode(options)
    said = recording.engine.rpartition(", ")[2]  # an engine's description ends with what it runs
    precision = said if said in bundle.manifest.precisions else options.settings.precision
    return run_info(bag.path, bag.topics, bundle, precision, recording.engine, mode, rate)


def _shown(scored: ScoredFrame, lowest: float) -> ScoredFrame:
    """The frame with the detections that pictures show."""
    found = tuple(item for item in scored.result.detections if item.score >= lowest)
    return replace(scored, result=replace(scored.result, detections=found))


def _mode(options: ReplayOptions) -> tuple[str, float | None]:
    if options.in_process:
        return "in process, without ROS", None
    where = "attached to a running node, " if options.play.attach else "own node, "
    if options.play.lockstep:
        return where + "as fast as possible", None
    pace = "real time" if options.play.rate == 1 else f"{options.play.rate:g} times real time"
    return where + pace, options.play.rate
