"""Fills the generated blocks of README.md and docs/ from manifests, recorded runs and what the code declares,
and draws docs/speed.png.

python scripts/doc_numbers.py           rewrite them
python scripts/doc_numbers.py --check   exit 1 when one is not what it would write, or shows other numbers
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from distill_perception.bench import form_scores
from distill_perception.bundle import Manifest, read_manifest
from distill_perception.compare.ablation import ablation_table, compare_losses
from distill_perception.compare.comparison import compare
from distill_perception.compare.points import Cloud, Point
from distill_perception.compare.show import markdown
from distill_perception.markdown import markdown_table

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SPEED = ROOT / "docs" / "speed.png"
NUMBERS = "numbers"  # a PNG text chunk's keyword
RECORDS = ROOT / "benchmarks" / "results"
SHIPPED = ("camvid_lite0", "camvid_lite0_small")
SCORES = {"miou": "mIoU", "map50": "mAP50", "map": "mAP"}


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table of words."""
    return markdown_table(header, rows, left=len(header))


def glance() -> str:
    """What each shipped student is worth on a CPU, in one line."""
    record = _record("cpu_latency.json")
    rows = []
    for name in SHIPPED:
        manifest = read_manifest(ROOT / "models" / name / "manifest.yaml")
        scores = form_scores(manifest, "openvino", "int8")
        (fast,) = (
            row
            for row in record["rows"]
            if (row["network"], row["engine"], row["precision"]) == (name, "openvino", "int8")
        )
        size = (ROOT / "models" / name / manifest.precisions["int8"].file).stat().st_size
        rows.append(
            [
                f"`{name}`",
                f"{size / 1e6:.1f}",
                f"{scores.miou:.3f}",
                f"{scores.map50:.3f}",
                f"{fast['p50_ms']:.1f}",
                f"{fast['times_as_fast_as_segformer']:.1f}",
            ]
        )
    header = ["INT8", "MB", "mIoU", "mAP50", "ms a frame", "times as fast as SegFormer-B0 in PyTorch"]
    return f"{table(header, rows)}\n\nCamVid val, OpenVINO; {record['machine']}."


def accuracy() -> str:
    """Scores of the shipped bundles by data and form, of what they were trained beside, and IoU by class."""
    manifests = [read_manifest(ROOT / "models" / name / "manifest.yaml") for name in SHIPPED]
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for manifest in manifests:
        for metric in manifest.metrics:
            if metric.name in SCORES:
                source, _, form = metric.data.partition(" frames, ")
                data = f"{source} frames"
                found.setdefault((manifest.name, data, SCORES[metric.name]), {})[form] = metric.value
    forms = list(dict.fromkeys(form for values in found.values() for form in values))
    rows = [
        [*about, *(f"{values[form]:.3f}" if form in values else "-" for form in forms)]
        for about, values in found.items()
    ]
    names = [item.name for item in manifests[0].classes]
    by_class = [[manifest.name, *_class_row(manifest, names)] for manifest in manifests]
    beside: dict[str, dict[str, float]] = {}
    for metric in manifests[0].metrics:
        if metric.name.endswith("/torch"):
            beside.setdefault(metric.data, {})[metric.name.removesuffix("/torch")] = metric.value
    trained = [
        [data, *(f"{scores[name]:.3f}" if name in scores else "-" for name in ("miou", "map50"))]
        for data, scores in beside.items()
    ]
    return "\n\n".join(
        [
            table(["network", "data", "score", *forms], rows),
            table(["in torch, as trained", "mIoU", "mAP50"], trained),
            table(["camvid val IoU", *names], by_class),
        ]
    )


def compared(*runs: str, baseline: str, metrics: Sequence[str]) -> str:
    """What `distill-perception compare` says of recorded run folders."""
    folders = [RECORDS / run for run in runs]
    return markdown(compare(folders, str(RECORDS / baseline), metrics)).rstrip()


def ablated(*runs: str, metrics: Sequence[str]) -> str:
    """What `distill-perception compare --ablation` says of recorded run folders."""
    comparison = compare_losses([RECORDS / run for run in runs], None, metrics)
    return ablation_table(comparison, comparison.metrics)


def _class_row(manifest: Manifest, names: list[str]) -> list[str]:
    values = {m.name: m.value for m in manifest.metrics if m.data.startswith("camvid") and "fp32" in m.data}
    return [f"{values[f'iou/{name}']:.2f}" if f"iou/{name}" in values else "-" for name in names]


def replay() -> str:
    """The recorded replay of the CamVid val drive through the node."""
    record = _record("camvid_val_replay.json")
    latency = record["latency_ms"]
    rows = [
        [stage, *(f"{values[p]:.1f}" for p in ("p50", "p95", "p99"))] for stage, values in latency.items()
    ]
    head = (
        f"{record['frames']} frames at {record['rate_hz']:g} Hz, {record['dropped']} dropped, "
        f"mIoU {record['miou']:.3f}; {record['machine']}, {record['engine']}:"
    )
    return head + "\n\n" + table(["stage", "p50 ms", "p95 ms", "p99 ms"], rows)


def demo() -> str:
    """How long `make demo` took, once, from the clone on."""
    record = _record("clone_to_report.json")
    return (
        f"From `git clone` to the report: {record['total_s']} s, of which {record['after_installation_s']} s "
        f"after the installation, on {record['machine']} (`{record['command']}`)."
    )


def cpu() -> str:
    """The recorded latency of every precision on the CPU engines, beside SegFormer-B0, on two CPUs."""
    first = _cpu_table(_record("cpu_latency.json")) + f"\n\nWith OpenVINO: ![mIoU over latency]({SPEED.name})"
    without_vnni = _cpu_table(_record("cpu_latency_without_vnni.json"))
    about = "On a slower CPU without VNNI, the instructions for dot products of INT8:"
    return f"{first}\n\n{about}\n\n{without_vnni}"


def speed() -> Cloud:
    """What the shipped students score over the recorded latency with OpenVINO."""
    points = []
    for row in _record("cpu_latency.json")["rows"]:
        name, engine, form = row["network"], row["engine"], row["precision"]
        if name in SHIPPED and engine == "openvino":
            scores = form_scores(read_manifest(ROOT / "models" / name / "manifest.yaml"), engine, form)
            points.append(Point(f"{name} {form}", row["p50_ms"], scores.miou, None, False))
    return Cloud("latency, ms a call", "mIoU", tuple(points), ())


def draw_speed() -> None:
    """docs/speed.png with its numbers in it, as another matplotlib draws other pixels of the same ones."""
    from PIL import Image, PngImagePlugin

    from distill_perception.compare.figure import draw

    draw(speed(), SPEED)
    numbers = PngImagePlugin.PngInfo()
    numbers.add_text(NUMBERS, json.dumps(asdict(speed())))
    with Image.open(SPEED) as drawn:
        drawn.load()
    drawn.save(SPEED, pnginfo=numbers)


def speed_is_stale() -> bool:
    """Whether docs/speed.png was drawn from other numbers."""
    from PIL import Image

    with Image.open(SPEED) as drawn:
        return bool(drawn.info.get(NUMBERS) != json.dumps(asdict(speed())))


def _cpu_table(record: dict[str, Any]) -> str:
    header = ["network", "engine", "precision", "p50 ms", "p95 ms", "times as fast as SegFormer-B0"]
    keys = ("network", "engine", "precision", "p50_ms", "p95_ms", "times_as_fast_as_segformer")
    height, width = record["size"]
    machine = f", {record['machine']}" if "machine" in record else ""
    head = f"One frame of {width}x{height}, {record['threads']} threads{machine}, all in turns in one run:"
    return head + "\n\n" + table(header, [[str(row[key]) for key in keys] for row in record["rows"]])


def compression() -> str:
    """The recorded report of a compress recipe: what each step costs and brings."""
    record = _record("compress/report.json")
    points = record["points"]
    engines = list(points[0]["latency_ms"])
    header = ["step", "file MB", "parameters M", "GMACs"]
    header += [f"{engine}, ms (times as fast)" for engine in engines]
    scores = [name for name in SCORES if name in points[0]["point"]["scores"]]
    header += [SCORES[name] for name in scores]
    rows = []
    for item in points:
        point, ms = item["point"], item["latency_ms"]
        rows.append(
            [
                point["name"],
                f"{point['size_bytes'] / 1e6:.2f}",
                f"{point['parameters'] / 1e6:.2f}",
                f"{point['macs'] / 1e9:.2f}",
                *(f"{ms[name]:.1f} ({points[0]['latency_ms'][name] / ms[name]:.1f})" for name in engines),
                *(f"{point['scores'][name]:.3f}" for name in scores),
            ]
        )
    lines = [" ".join(record["about"]), table(header, rows), f"Taken: {record['chosen']}"]
    return "\n\n".join([*lines, "![mIoU over latency](../benchmarks/results/compress/pareto.png)"])


def overhead() -> str:
    """The recorded benchmark of the node against the bare engine and the naive node."""
    record = _record("node_overhead.json")
    header = {
        "bare engine, ms": lambda item: f"{item['bare_engine_ms']['p50']:.1f}",
        "outside engine, ms": lambda item: f"{item['node']['outside_engine_ms']['p50']:.2f}",
        "end to end, ms": lambda item: f"{item['node']['latency_ms']['p50']:.1f}",
        "naive end to end, ms": lambda item: f"{item['naive']['latency_ms']['p50']:.1f}",
        "rate / bare engine's": lambda item: f"{item['throughput_share']:.2f}",
        "rate / bare engine's beside the camera": lambda item: f"{item['share_beside_camera']:.2f}",
        "engine busy": lambda item: f"{item['node']['engine_busy_share']:.2f}",
        "rate / naive node's": lambda item: f"{item['times_naive']:.1f}",
        "rate / naive node's, channels_last": lambda item: f"{item['times_naive_channels_last']:.1f}",
    }
    last = max(item["round"] for item in record["rounds"])
    items = [item for item in record["rounds"] if item["round"] == last]
    rows = [[item["size"], item["precision"], *(cell(item) for cell in header.values())] for item in items]
    return f"{record['machine']['cpu']}; medians:\n\n{table(['camera', 'precision', *header], rows)}"


def parameters() -> str:
    """The node's parameters."""
    from distill_perception.ros.parameters import parameter_table

    return parameter_table().rstrip()


def recipes() -> str:
    """Every key of a recipe, of an ablation and of a compression."""
    from recipe_tables import recipe_tables

    from training.ablation import Ablation
    from training.compression.spec import CompressRecipe
    from training.recipe import Recipe

    return recipe_tables(("Training", Recipe), ("Ablation", Ablation), ("Compression", CompressRecipe))


BLOCKS: dict[str, Callable[[], str]] = {
    "ablation": partial(ablated, "ablation", metrics=["miou/camvid", "map50/camvid"]),
    "gain": partial(
        compared,
        *("gain", "gain_live", "camvid_gain_teacher"),
        baseline="gain/labels_s1",
        metrics=["miou/camvid", "map50/camvid", "boundary_f/camvid"],
    ),
    "self": partial(
        compared,
        *("self", "camvid_gain_teacher"),
        baseline="self/labels_s1",
        metrics=["miou/camvid", "map50/camvid", "miou/synthetic", "map50/synthetic"],
    ),
    "unlabelled": partial(ablated, "unlabelled", metrics=["miou/camvid"]),
    "glance": glance,
    "accuracy": accuracy,
    "students": partial(
        compared,
        *("trainings/labels_s1", "trainings/camvid_teachers", "trainings/distilled_s1"),
        baseline="trainings/labels_s1",
        metrics=["miou/camvid", "map50/camvid", "miou/synthetic", "map50/synthetic"],
    ),
    "replay": replay,
    "demo": demo,
    "cpu": cpu,
    "compression": compression,
    "overhead": overhead,
    "parameters": parameters,
    "recipes": recipes,
}


def _record(name: str) -> Any:
    return json.loads((RECORDS / name).read_text())


def render(text: str) -> str:
    """A document with every `<!-- generated: NAME -->` ... `<!-- end -->` block filled anew."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{BLOCKS[match[2]]()}\n<!-- end -->"

    return re.sub(r"(<!-- generated: (\w+) -->).*?<!-- end -->", fill, text, flags=re.DOTALL)


def main() -> int:
    """Rewrite or check the documents."""
    os.chdir(RECORDS)  # where compare looks for the runs of teachers first: not at those of this machine
    stale = 0
    for document in DOCUMENTS:
        old = document.read_text(encoding="utf-8")
        new = render(old)
        if new == old:
            continue
        if "--check" in sys.argv:
            stale = 1
            print(f"{document.name} is stale: run python scripts/doc_numbers.py", file=sys.stderr)
        else:
            document.write_text(new, encoding="utf-8")
    if "--check" not in sys.argv:
        draw_speed()
    elif speed_is_stale():
        stale = 1
        print(f"{SPEED.name} is stale: run python scripts/doc_numbers.py", file=sys.stderr)
    return stale


if __name__ == "__main__":
    sys.exit(main())
