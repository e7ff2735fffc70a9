"""What the node costs beside the engine: stage times, latency and throughput against the bare engine call and
against a naive node, all in one run.

    python benchmarks/node_overhead.py --bundle camvid_lite0 --run runs/camvid_students/distilled_s1
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from distill_perception.bundle import load_bundle
from distill_perception.commit import git_hash
from distill_perception.engines import Engine, EngineSettings, open_engine
from distill_perception.machine import cpus, describe_machine
from distill_perception.ros.transport import use_large_messages

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, benchmarks/ is no package yet

from benchmarks.camera_load import TOPIC, CameraLoad, NoAnswerError, process

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "node_overhead.json"
OUTSIDE_TARGET_MS = {"480x360": 1.5, "1280x720": 5.0}
THROUGHPUT_TARGET = 0.92
NAIVE_TARGET = 5.0
NAIVE_GUESS_MS = 25.0  # faster than the naive node is, so that it is sent more than it can do
OVERLOAD = 1.2  # frames sent for each one that the bare engine could do
LISTENED = "/listened/image_raw"
TURNS = 5  # of the bare engine and the node


@dataclass(frozen=True)
class Model:
    """What is served, and how."""

    bundle: str
    engine: str
    precision: str
    device: str
    threads: int

    def parameters(self) -> list[str]:
        """As ROS arguments of the node."""
        values = {**asdict(self), "cameras": f"[{TOPIC}]"}
        return ["--ros-args", *(word for item in values.items() for word in ("-p", "{}:={}".format(*item)))]


def open_bare(model: Model) -> Engine:
    """The engine alone, warm."""
    return open_engine(
        load_bundle(model.bundle),
        model.engine,
        EngineSettings(model.precision, model.device, model.threads),
    )


def times_ms(engine: Engine, seconds: float) -> np.ndarray:
    """Times of single inferences without anything around them: float [N], at least 20."""
    frames = np.zeros((1, *engine.input_size, 3), np.uint8)
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 20:
        start = time.perf_counter()
        engine.infer(frames)
        times.append((time.perf_counter() - start) * 1e3)
    return np.array(times)


def percentiles(values: np.ndarray) -> dict[str, float]:
    """p50, p95, p99, rounded to microseconds."""
    return {f"p{p}": round(float(np.percentile(values, p)), 3) for p in (50, 95, 99)} if values.size else {}


def measure_node(load: CameraLoad, engine_ms: float, saturated_hz: float, seconds: float) -> dict[str, Any]:
    """Latency and stage times of the node that answers, when it can follow its camera.

    `engine_busy_share` is the part of the saturated time that was spent inside the engine, from a saturated
    drive with timing, which costs the node time.
    """
    load.listen_to_timing()
    timed = load.drive(OVERLOAD * 1e3 / engine_ms, seconds)
    calm = load.drive(min(15.0, 0.5 * saturated_hz), seconds)
    result: dict[str, Any] = {
        "latency_ms": percentiles(calm.latency_ms),
        "saturated_hz": round(saturated_hz, 2),
    }
    if calm.stages_ms:
        stages = calm.stages_ms
        result["stages_ms"] = {name: percentiles(values) for name, values in stages.items()}
        result["outside_engine_ms"] = percentiles(stages["total"] - stages["inference"])
        inference = timed.stages_ms["inference"]
        result["saturated_engine_ms"] = percentiles(inference)
        result["engine_busy_share"] = round(timed.rate_hz * float(inference.mean()) / 1e3, 3)
    return result


@contextmanager
def answering(arguments: list[str], size: str) -> Iterator[CameraLoad]:
    """A node in a process of its own that a camera of this size is connected to."""
    width, height = (int(part) for part in size.split("x"))
    log = Path(tempfile.mkdtemp()) / "node.log"
    with process(arguments, log), closing(CameraLoad(width, height)) as load:
        try:
            load.connect()
            yield load
        except NoAnswerError as error:
            raise typer.BadParameter(f"{error}; its log: {log}") from error


def measure_naive(size: str, run: str | None, seconds: float) -> dict[str, Any]:
    """The naive node at one camera size, in PyTorch's default layout and in channels_last."""
    result = {}
    for name, flags in (("naive", []), ("naive_channels_last", ["--channels-last"])):
        arguments = ["-m", "benchmarks.naive_node", *flags, TOPIC, *([run] if run else [])]
        with answering(arguments, size) as load:
            full = load.drive(OVERLOAD * 1e3 / NAIVE_GUESS_MS, 2 * seconds)
            result[name] = measure_node(load, NAIVE_GUESS_MS, full.rate_hz, 2 * seconds)
    return result


@contextmanager
def listened(size: str) -> Iterator[subprocess.Popen[str]]:
    """A camera of this size, and a listener that does nothing with its frames: two processes."""
    folder = Path(tempfile.mkdtemp())
    line = [sys.executable, "-m", "benchmarks.camera", LISTENED, *size.split("x")]
    with (
        process(["-m", "benchmarks.listener", LISTENED], folder / "listener.log"),
        subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as camera,
    ):
        hear(camera, "ready")
        yield camera  # which ends when its stdin is closed, as leaving this does


def hear(camera: subprocess.Popen[str], word: str) -> None:
    """Wait until the camera says so."""
    assert camera.stdout is not None
    if camera.stdout.readline().strip() != word:
        raise typer.BadParameter(f"benchmarks.camera ended before it was {word}; its error is above")


def times_beside_ms(
    engine: Engine, camera: subprocess.Popen[str], rate_hz: float, seconds: float
) -> np.ndarray:
    """`times_ms` while the camera publishes at a rate."""
    assert camera.stdin is not None
    camera.stdin.write(f"{rate_hz} {1.1 * seconds}\n")
    camera.stdin.flush()
    times = times_ms(engine, seconds)
    hear(camera, "done")
    return times


def measure(size: str, model: Model, naive: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Bare engine and node at one camera size, set against the naive node.

    The node's rate is taken between two of the bare engine, `TURNS` times within seconds: a shared machine's
    clock changes more from minute to minute than the node costs. While one is measured the other waits.
    Beside the camera the bare engine has what the node has: a machine that carries the camera's frames too.
    """
    result: dict[str, Any] = {"size": size, "precision": model.precision}
    node = ["-m", "distill_perception.ros.node", *model.parameters()]
    with closing(open_bare(model)) as bare, listened(size) as camera, answering(node, size) as load:
        times, rates, shares, beside = [times_ms(bare, seconds / TURNS)], [], [], []
        for _ in range(TURNS):
            sent_hz = OVERLOAD * 1e3 / float(times[-1].mean())
            full = load.drive(sent_hz, seconds / TURNS)
            loaded = times_beside_ms(bare, camera, sent_hz, seconds / TURNS)
            times.append(times_ms(bare, seconds / TURNS))
            rates.append(full.rate_hz)
            shares.append(full.rate_hz * float(np.concatenate(times[-2:]).mean()) / 1e3)
            beside.append(full.rate_hz * float(loaded.mean()) / 1e3)
        both = np.concatenate(times)
        result["node"] = measure_node(load, float(np.median(both)), float(np.median(rates)), seconds)
    result["bare_engine_ms"] = percentiles(both)
    result["bare_engine_hz"] = round(1e3 / float(both.mean()), 2)
    result["throughput_share"] = round(float(np.median(shares)), 3)
    result["throughput_shares"] = [round(share, 3) for share in shares]
    result["share_beside_camera"] = round(float(np.median(beside)), 3)
    for name, other in naive.items():
        result[name] = other
        result[f"times_{name}"] = round(result["node"]["saturated_hz"] / other["saturated_hz"], 2)
    return result


def show(rounds: list[dict[str, Any]]) -> Table:
    """A table of all rounds; times are medians in milliseconds."""
    table = Table(title="node overhead (ms, p50)")
    for column in ("camera", "precision", "bare engine", "outside engine", "target", "end to end",
                   "naive end to end",
                   "bare Hz", "node Hz", "engine busy", "share", "share beside camera", "target ", "naive Hz",
                   "times naive", "times naive, channels last"):  # fmt: skip
        table.add_column(column, justify="right")
    for item in rounds:
        node, naive = item["node"], item.get("naive")
        target = OUTSIDE_TARGET_MS.get(item["size"])
        table.add_row(
            item["size"],
            item["precision"],
            f"{item['bare_engine_ms']['p50']:.1f}",
            f"{node['outside_engine_ms']['p50']:.2f}",
            f"<= {target}" if target else "",
            f"{node['latency_ms']['p50']:.1f}",
            f"{naive['latency_ms']['p50']:.1f}" if naive else "",
            f"{item['bare_engine_hz']:.1f}",
            f"{node['saturated_hz']:.1f}",
            f"{node['engine_busy_share']:.3f}",
            f"{item['throughput_share']:.3f}",
            f"{item['share_beside_camera']:.3f}",
            f">= {THROUGHPUT_TARGET}",
            f"{naive['saturated_hz']:.1f}" if naive else "",
            f"{item['times_naive']:.1f} (>= {NAIVE_TARGET:g})" if naive else "",
            f"{item['times_naive_channels_last']:.1f}" if naive else "",
        )
    return table


def main(
    bundle: Annotated[str, typer.Option(help="Bundle to measure, by name or path.")] = "camvid_lite0",
    engine: Annotated[str, typer.Option(help="Engine, or auto.")] = "auto",
    precisions: Annotated[str, typer.Option(help="The bundle's precisions to measure.")] = "int8,fp32",
    device: Annotated[
        str, typer.Option(help="Device of the engine: cpu, cuda, or auto as the node's.")
    ] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads of the engine; 0 lets it choose.")] = 0,
    run: Annotated[
        str | None,
        typer.Option("--run", "--checkpoint", help="Run folder of the student, for the naive node."),
    ] = None,
    sizes: Annotated[str, typer.Option(help="Camera sizes.")] = "480x360,1280x720,1920x1080",
    seconds: Annotated[float, typer.Option(min=1, help="Length of each measurement.")] = 6.0,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured.")] = 1,
    naive: Annotated[bool, typer.Option(help="Measure the naive node too (needs torch).")] = True,
    out: Annotated[Path, typer.Option("--out", "-o", help="JSON file to write.")] = RESULT,
) -> None:
    """Measure the node's overhead; run it on a quiet machine."""
    os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 100))
    use_large_messages()
    results = []
    for number in range(rounds):
        for size in sizes.split(","):
            others = measure_naive(size, run, seconds) if naive else {}
            for precision in precisions.split(","):
                result = measure(size, Model(bundle, engine, precision, device, threads), others, seconds)
                results.append({"round": number, "load": os.getloadavg()[0], **result})
    machine = {"cpu": describe_machine(), "cores": cpus()}
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "bundle": bundle,
        "engine": engine,
        "device": device,
        "machine": machine,
        "git_hash": git_hash(),
        "rounds": results,
    }
    out.write_text(json.dumps(record, indent=2) + "\n")
    console = Console(width=150)
    console.print(show(results))
    console.print(f"wrote {out}")


if __name__ == "__main__":
    typer.run(main)
