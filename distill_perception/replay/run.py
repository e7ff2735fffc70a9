"""A whole replay: open, play, score, write the results folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..bags.mask_spool import MaskSpool
from ..bags.reader import Bag, BagFrame, open_bag
from ..bundle import Bundle, load_bundle
from ..engines import EngineSettings
from ..errors import ReplayError
from ..metrics import LOWEST_SCORE
from .evaluation import Evaluation, ScoredFrame, check_labels, evaluate
from .examples import Examples
from .in_process import perceive_bag
from .node_process import NodeOptions
from .overlay_video import OverlayVideo, frame_rate
from .player import PlayOptions, play
from .recording import Recording
from .report import write_report
from .run_info import RunInfo, run_info
from .topics import played_topics

# Average precision counts detections of any score; a picture full of them would show nothing, and shows those
# that a node publishes by default.
SHOWN_FROM = 0.3

METRICS, REPORT, VIDEO, NODE_LOG = "metrics.json", "report.html", "overlay.mp4", "node.log"

Progress = Callable[[str, int, int], None]  # what is being done, done, of how many


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


def replay(options: ReplayOptions, progress: Progress = lambda what, done, total: None) -> Outcome:
    """Play a bag through the perception stack and write metrics.json, report.html and overlay.mp4.

    Raises:
        BagError: the bag cannot be read.
        ReplayError: its labels do not fit the bundle, or the node fails.
        BundleError, EngineError: the bundle cannot be loaded or run.
    """
    bundle = load_bundle(options.bundle)
    bag = open_bag(options.bag, options.topics, options.labels)
    check_labels(bag, bundle.manifest)
    _prepare_folder(options.out)
    with MaskSpool() as masks:
        recording = _record(options, bag, bundle, masks, progress)
        if not recording.results:
            raise ReplayError("stopped before the first frame; nothing was written")
        return _write_results(options, bag, bundle, recording, progress)


def _prepare_folder(out: Path) -> None:
    """Make it, without an earlier replay's results: after a failure they would pass for this one's."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (METRICS, REPORT, VIDEO, NODE_LOG):
            (out / name).unlink(missing_ok=True)
        (out / METRICS).touch()  # before all is played: can results be written here?
        (out / METRICS).unlink()
    except OSError as error:
        raise ReplayError(
            f"{error.filename}: cannot be made or emptied: {error.strerror}; give another folder with --out"
        ) from error


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
    out, manifest = options.out, bundle.manifest
    examples = Examples(len(recording.results))
    video_path = out / VIDEO if options.video else None
    # Who chose a threshold sees what it lets through.
    lowest = SHOWN_FROM if recording.score_threshold == LOWEST_SCORE else 0.0
    count = 0
    with ExitStack() as stack:
        video = None
        if video_path:  # of the first camera
            topic = bag.topics[0]
            rate_hz = frame_rate([r.key[1] for r in recording.results if r.key[0] == topic])
            video = stack.enter_context(OverlayVideo(video_path, topic, rate_hz, manifest.classes))

        def visit(frame: BagFrame, scored: ScoredFrame, mask: np.ndarray | None) -> None:
            nonlocal count
            shown = _shown(scored, lowest)
            examples.visit(frame, shown, mask)
            if video:
                video.visit(frame, shown, mask)
            count += 1
            progress("scoring", count, len(recording.results))

        evaluation = evaluate(bag, recording, manifest, visit)
    mode, rate = _mode(options)
    said = recording.engine.rpartition(", ")[2]  # an engine's description ends with what it runs
    precision = said if said in manifest.precisions else options.settings.precision
    info = run_info(bag.path, bag.topics, bundle, precision, recording.engine, mode, rate)
    metrics, report = out / METRICS, out / REPORT
    content = {**evaluation.metrics(), **info.as_dict()}
    metrics.write_text(json.dumps(content, indent=2) + "\n", encoding="utf8")
    write_report(report, manifest, evaluation, info, examples)
    return Outcome(evaluation, info, metrics, report, video_path)


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
