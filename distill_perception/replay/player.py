"""Play a bag through the running node and collect what it answers; only this and `link.py` need ROS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..bags.mask_spool import MaskSpool
from ..bags.reader import Bag, BagFrame
from ..errors import ImageError, ReplayError, ros_is_missing
from ..manifest import Manifest
from ..ros.status import Status, check_node_name
from ..terminal import warn
from .node_process import NodeOptions, NodeProcess, free_domain_id, is_domain_free
from .pace import PaceMeter
from .private_transport import private_environment
from .recording import Recording
from .topics import played_topics

if TYPE_CHECKING:
    from .link import Link

Progress = Callable[[int, int], None]  # frames sent, frames answered

_TICK_S = 0.05
_DOUBT_S = 0.2  # without an answer in lockstep; then the frames themselves are looked at
_MAX_SILENT_FRAMES = 3  # in lockstep; then the node is taken to be stuck
_DISCOVERY_S = 1.0  # nodes of a domain know of each other by then
_LAST_ANSWERS_S = 2.0  # after the last frame, silence of this length means that no more will come


@dataclass(frozen=True)
class PlayOptions:
    """How to play.

    rate: 1 is the bag's own pace; lockstep: ignore the pace, send a frame when the last one is answered;
    attach: use a node that runs already, in this terminal's ROS domain, instead of starting one.

    Raises:
        ConfigError: no node can have this name.
    """

    rate: float = 1.0
    lockstep: bool = False
    attach: bool = False
    domain_id: int | None = None
    node_name: str = "perception"
    start_timeout_s: float = 90.0
    answer_timeout_s: float = 10.0

    def __post_init__(self) -> None:
        check_node_name(self.node_name)


def play(
    bag: Bag,
    node: NodeOptions,
    manifest: Manifest,
    options: PlayOptions,
    masks: MaskSpool,
    log: Path,
    progress: Progress = lambda sent, answered: None,
) -> Recording:
    """Send every frame of the bag, restamped to now, and match the answers by that stamp.

    Ctrl-C ends it early, as does a node that fails after it has answered frames; what was answered until
    then is returned, marked as not complete.

    Args:
        bag: what to play.
        node: the node to start (not used when attaching).
        manifest: the bundle's; its tasks say what answers a frame gets.
        masks: takes the masks.
        log: file for the started node's output.

    Raises:
        ReplayError: the node does not start, fails before its first answer, serves another bundle, or is
            not the only one that answers.
        ConfigError: ROS is not installed.
    """
    with _connected(bag, node, manifest.tasks, options, masks, log) as (link, process):
        wait_until_ready(link, process, options)
        if options.attach:
            link.spin_for_status()  # its counters so far belong to others
            _check_bundle(link.status, manifest)
            _tell_other_cameras(link)
        link.start()
        complete, failure, meter = True, "", PaceMeter(options.rate)
        try:
            if options.lockstep:
                _play_in_lockstep(bag, link, process, options, progress)
            else:
                _play_at_pace(bag, link, process, options.rate, meter, progress)
        except KeyboardInterrupt:
            complete = False
        except ReplayError as error:
            if not link.ledger.answered:
                raise
            failure = str(error)
        if complete and link.ledger.sent and not link.ledger.answered:
            raise ReplayError(_silence(process, options, "answered none of the frames"))
        with suppress(KeyboardInterrupt):  # who will not wait gets what is known by now
            if not failure:
                link.hear_out()
                failure = _several_nodes(link)  # one that came later
        return replace(link.recording(complete and not failure), pace=meter.pace(), failure=failure)


@contextmanager
def _connected(
    bag: Bag, node: NodeOptions, tasks: tuple[str, ...], options: PlayOptions, masks: MaskSpool, log: Path
) -> Iterator[tuple[Link, NodeProcess | None]]:
    try:
        from .link import Link, use_environment
    except ImportError as error:
        raise ros_is_missing(error, "; --in-process replays without ROS") from error
    with ExitStack() as stack:
        cameras, domain_id = played_topics(bag), options.domain_id
        if options.attach:
            stack.enter_context(use_environment({}))
            yield stack.enter_context(Link(cameras, tasks, options.node_name, domain_id, masks)), None
            return
        shared = domain_id is not None and not is_domain_free(domain_id)
        domain_id = free_domain_id() if domain_id is None else domain_id
        environ = stack.enter_context(private_environment(domain_id))
        stack.enter_context(use_environment(environ))
        link = stack.enter_context(Link(cameras, tasks, options.node_name, domain_id, masks))
        if shared:
            _refuse_other_nodes(link, domain_id)
        process = stack.enter_context(NodeProcess(node, log, environ))
        yield link, process


def wait_until_ready(link: Link, process: NodeProcess | None, options: PlayOptions) -> None:
    """Spin until frames may be sent; patience begins anew with each news of the node, which builds an engine.

    Raises:
        ReplayError: it ended, or has said nothing new for `start_timeout_s`.
    """
    said, deadline = "", time.monotonic() + options.start_timeout_s
    while missing := link.not_ready():
        link.spin(_TICK_S)
        if process:
            process.check()
        if link.said != said:
            said, deadline = link.said, time.monotonic() + options.start_timeout_s
        if time.monotonic() > deadline:
            text = f"was not ready after {options.start_timeout_s:g} s (--start-timeout): {missing}"
            raise ReplayError(_silence(process, options, text))
    # Both sides know of each other; let the last discovery messages pass, and those of other nodes
    link.settle(_DISCOVERY_S if options.attach else 0.3)
    if several := _several_nodes(link):
        raise ReplayError(several)


def _several_nodes(link: Link) -> str:
    """What is wrong if answers come from more than one node; empty if they do not."""
    for topic, publishers in link.publishers_of_results().items():
        if len(publishers) > 1:
            return (
                f"{len(publishers)} nodes publish {topic} ({', '.join(publishers)}), and the answers of all "
                "pass for one's: stop the others"
            )
    return ""


def _refuse_other_nodes(link: Link, domain_id: int) -> None:
    """A node that already answers these cameras would be scored in place of the replay's own."""
    link.settle(_DISCOVERY_S)
    for topic, publishers in link.publishers_of_results().items():
        if publishers:
            raise ReplayError(
                f"a node in ROS domain {domain_id} publishes {topic} already: stop it, leave --domain-id "
                "out, or measure that node with --attach"
            )


def _tell_other_cameras(link: Link) -> None:
    """The node's figures are of all frames it gets."""
    if topics := link.cameras_of_others():
        warn(
            f"{', '.join(topics)}: another publisher sends frames too; latency and drops are those of a node "
            "that serves both, and what its counters say of this replay's frames is not known"
        )


def _check_bundle(status: Status | None, manifest: Manifest) -> None:
    """Scores must not be written down as another bundle's, nor as those of a file made since."""
    if status is None or not status.bundle:
        raise ReplayError("the running node does not say on /diagnostics which bundle it serves; try again")
    if status.bundle != (named := f"{manifest.name} {manifest.version}"):
        raise ReplayError(
            f"the running node serves bundle '{status.bundle}', not '{named}'; name the bundle that it "
            "serves with --bundle (-b)"
        )
    model = manifest.precisions.get(status.precision)
    if model is None or model.sha256 != status.sha256:
        raise ReplayError(
            f"the running node has loaded another {status.precision} model than bundle '{named}' holds now "
            f"(of SHA-256 {status.sha256 or 'unknown'}): restart the node, or name the bundle that it runs "
            "with --bundle (-b)"
        )


def _silence(process: NodeProcess | None, options: PlayOptions, what: str) -> str:
    if process:
        return f"the perception node {what}; {process.tail()}"
    return (
        f"the running node {what}; is it active (ros2 lifecycle get /{options.node_name.strip('/')}), in "
        "this ROS_DOMAIN_ID, with this terminal's FASTDDS_BUILTIN_TRANSPORTS (if any), and do its cameras "
        "name this bag's image topics?"
    )


def _play_at_pace(
    bag: Bag, link: Link, process: NodeProcess | None, rate: float, meter: PaceMeter, progress: Progress
) -> None:
    begin = time.monotonic()
    first_ns: int | None = None
    for frame in bag.frames(truth=False):
        message = link.message(frame)
        first_ns = frame.time_ns if first_ns is None else first_ns
        due = begin + (frame.time_ns - first_ns) / 1e9 / rate
        while (left := due - time.monotonic()) > 0:
            link.spin(min(left, _TICK_S))
        link.drain()
        if process:
            process.check()
        meter.note(frame.topic, frame.time_ns, time.monotonic() - due)
        link.publish(frame, message)
        progress(link.ledger.sent, link.ledger.answered)
    _collect_last(link, process, progress)


def _collect_last(link: Link, process: NodeProcess | None, progress: Progress) -> None:
    """Wait for answers still on their way, until all are there or none has come for a while."""
    answered, since = link.ledger.answered, time.monotonic()
    while link.ledger.waiting and time.monotonic() - since < _LAST_ANSWERS_S:
        link.spin(_TICK_S)
        if process:
            process.check()
        if link.ledger.answered > answered:
            answered, since = link.ledger.answered, time.monotonic()
            progress(link.ledger.sent, link.ledger.answered)


def _play_in_lockstep(
    bag: Bag, link: Link, process: NodeProcess | None, options: PlayOptions, progress: Progress
) -> None:
    silent = 0
    for group in _one_of_each_camera(bag.frames(truth=False)):
        for frame in group:
            link.publish(frame, link.message(frame))
        unreadable: int | None = None  # frames that the node counts as malformed and does not answer
        now = time.monotonic()
        doubt_s, deadline_s = now + _DOUBT_S, now + max(options.answer_timeout_s, 2 * _DOUBT_S)
        while link.ledger.waiting > (unreadable or 0) and time.monotonic() < deadline_s:
            link.spin(_TICK_S)
            if process:
                process.check()
            if unreadable is None and time.monotonic() > doubt_s:
                unreadable = sum(not _is_readable(frame) for frame in group)
        if unreadable != len(group):
            silent = silent + 1 if link.ledger.waiting > (unreadable or 0) else 0
        if silent and (not link.ledger.answered or silent == _MAX_SILENT_FRAMES):
            times = f"{silent} times " if link.ledger.answered else ""
            text = f"did not answer {times}within {options.answer_timeout_s:g} s"
            raise ReplayError(_silence(process, options, text))
        link.ledger.give_up()
        link.spin_for_timing()
        progress(link.ledger.sent, link.ledger.answered)


def _is_readable(frame: BagFrame) -> bool:
    try:
        frame.image.native()
    except ImageError:
        return False
    return True


def _one_of_each_camera(frames: Iterator[BagFrame]) -> Iterator[list[BagFrame]]:
    """Neighbouring frames of different cameras, which the node may take as one batch."""
    group: list[BagFrame] = []
    for frame in frames:
        if any(frame.topic == other.topic for other in group):
            yield group
            group = []
        group.append(frame)
    if group:
        yield group
