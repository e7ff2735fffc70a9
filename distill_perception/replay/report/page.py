"""The report as HTML: sections from an evaluation, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from ...manifest import Manifest
from ...metrics import LOWEST_SCORE
from ..evaluation import Evaluation
from ..recording import answers_lost_words
from ..run_info import RunInfo
from . import charts
from .style import CSS

# What each stage means, in the reader's words.
STAGE_NOTES = {
    "queue": "arrival until the worker takes it",
    "preprocess": "resize into the model's input",
    "inference": "the engine",
    "postprocess": "back to camera resolution",
    "publish": "messages out",
    "total": "in the node, arrival to published",
    "end_to_end": "sent until answered, both ways of transport included",
}
_PARTS = ("queue", "preprocess", "inference", "postprocess", "publish")


def page(
    manifest: Manifest, evaluation: Evaluation, info: RunInfo, figures: Sequence[tuple[str, str]]
) -> str:
    """The whole document.

    Args:
        manifest: the bundle's.
        evaluation: the numbers.
        info: where they come from.
        figures: (heading, HTML) of each group of example pictures.
    """
    name = info.bag.rstrip("/").rpartition("/")[2]
    body = "".join(
        (
            _header(name, evaluation, info),
            _verdict(manifest, evaluation),
            _accuracy(manifest, evaluation),
            _cameras(manifest, evaluation),
            _latency(manifest, evaluation),
            _over_time(evaluation),
            _examples(manifest, figures),
            _details(evaluation, info),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Replay of {escape(name)}</title><style>{CSS}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _card(title: str, note: str, content: str) -> str:
    return f'<section class="card"><h2>{escape(title)}</h2><p>{escape(note)}</p>{content}</section>'


def _header(name: str, evaluation: Evaluation, info: RunInfo) -> str:
    badges = []
    if not evaluation.complete:
        badges.append('<span class="badge warn">incomplete: ended before the bag did</span>')
    if evaluation.pace and not evaluation.pace.kept:
        problem = evaluation.pace.problem.replace("'", "\u2019")
        badges.append(f'<span class="badge warn">{problem}</span>')
    if evaluation.dropped:
        frames = "frame" if evaluation.dropped == 1 else "frames"
        badges.append(f'<span class="badge bad">{evaluation.dropped} {frames} dropped</span>')
    elif evaluation.complete:
        badges.append('<span class="badge">complete, nothing dropped</span>')
    model = f"{info.bundle} {info.bundle_version} on {info.engine or 'an unknown engine'}"
    line = " \u00b7 ".join((model, info.mode, info.date))
    return f"<header><h1>Replay of {escape(name)}</h1>{''.join(badges)}<p>{escape(line)}</p></header>"


def _kpi(title: str, value: str, unit: str, note: str, kind: str = "") -> str:
    small = f"<small>{unit}</small>" if unit else ""
    return f'<div class="kpi {kind}"><span>{title}</span><b>{value}{small}</b><em>{note}</em></div>'


def _verdict(manifest: Manifest, evaluation: Evaluation) -> str:
    cells = []
    if "segmentation" in manifest.tasks:
        cells.append(
            _score("Mean IoU", evaluation.miou, f"{len(evaluation.iou)} classes, one confusion matrix")
        )
    if "detection" in manifest.tasks:
        average = f"mAP 50:95 {evaluation.map:.3f}" if evaluation.map is not None else ""
        cells.append(_score("mAP50", evaluation.map50, average))
    latency = evaluation.latency_ms.get("end_to_end")
    if latency:
        note = f"median {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms"
        cells.append(_kpi("End to end, p95", f"{latency['p95']:.1f}", "ms", note))
    share = evaluation.dropped / evaluation.frames if evaluation.frames else 0.0
    note = f"of {evaluation.frames} sent ({share:.1%})"
    if evaluation.answers_lost:
        note += f"; {answers_lost_words(evaluation.answers_lost)}"
    cells.append(
        _kpi("Dropped frames", str(evaluation.dropped), "", note, "bad" if evaluation.dropped else "")
    )
    rate = evaluation.answered / evaluation.duration_s if evaluation.duration_s > 0 else 0.0
    cells.append(_kpi("Answered", f"{rate:.1f}", "frames/s", f"{evaluation.duration_s:.1f} s of replay"))
    return f'<div class="kpis">{"".join(cells)}</div>'


def _score(title: str, value: float | None, note: str) -> str:
    if value is None:
        return _kpi(title, "\u2013", "", "no answered frame has labels", "none")
    return _kpi(title, f"{value:.3f}", "", note)


def _accuracy(manifest: Manifest, evaluation: Evaluation) -> str:
    classes, bars_of = manifest.classes, charts.class_bars
    left, right = "", ""
    if evaluation.miou is not None:
        note = f"Intersection over union on {evaluation.labelled_masks} labelled frames; void is ignored."
        left += _card("IoU by class", note, bars_of(classes, evaluation.iou, evaluation.miou, "IoU"))
    if evaluation.ap:
        things = [item for item in classes if item.kind == "thing" or item.name in evaluation.ap]
        note = (
            f"COCO's average precision of the boxes of {evaluation.labelled_boxes} labelled frames, "
            f"mean over IoU 0.50 to 0.95; {_scored(evaluation)}."
        )
        left += _card("AP by class", note, bars_of(things, evaluation.ap, evaluation.map, "AP"))
    if evaluation.confusion is not None:
        note = "What each class was taken for. Blue is right, red is wrong; small shares are drawn stronger."
        right = _card("Confusion matrix", note, charts.confusion(classes, evaluation.confusion))
    if left or right:
        return f'<div class="pair"><div>{left}</div><div>{right}</div></div>'
    return ""


def _scored(evaluation: Evaluation) -> str:
    lowest = evaluation.score_threshold
    if lowest is None:
        return "of what the node published (its score_threshold is not known)"
    if lowest > LOWEST_SCORE:
        return (
            f"of detections of score {lowest:g} and above; a bundle's own figure counts from {LOWEST_SCORE:g}"
        )
    return f"of detections of score {lowest:g} and above, as a bundle's own figure"


def _cameras(manifest: Manifest, evaluation: Evaluation) -> str:
    """A row for each of several cameras."""
    if not evaluation.cameras:
        return ""
    names = ["frames", "dropped"]
    names += ["mean IoU"] if "segmentation" in manifest.tasks else []
    names += ["mAP50"] if "detection" in manifest.tasks else []
    names += [f"end to end {name}, ms" for name in evaluation.latency_ms.get("end_to_end", ())]
    rows = ["".join(f"<th>{name}</th>" for name in ("camera", *names))]
    for topic, camera in evaluation.cameras.items():
        cells = [str(camera.frames), str(camera.frames - camera.answered)]
        cells += [_value(camera.miou, 3)] if "segmentation" in manifest.tasks else []
        cells += [_value(camera.map50, 3)] if "detection" in manifest.tasks else []
        times = camera.latency_ms or {}
        cells += [_value(times.get(name), 1) for name in evaluation.latency_ms.get("end_to_end", ())]
        rows.append(f"<td>{escape(topic)}</td>" + "".join(f"<td>{cell}</td>" for cell in cells))
    table = "".join(f"<tr>{row}</tr>" for row in rows)
    note = "Each by itself; all other numbers here are of all cameras together."
    return _card("Cameras", note, f'<div class="scroll"><table>{table}</table></div>')


def _value(value: float | None, digits: int) -> str:
    return "\u2013" if value is None else f"{value:.{digits}f}"


def _latency(manifest: Manifest, evaluation: Evaluation) -> str:
    rows = []
    for stage, samples in evaluation.samples_ms.items():
        values = evaluation.latency_ms[stage]
        numbers = "".join(f"<td>{value:.2f}</td>" for value in (*values.values(), float(samples.max())))
        chart = charts.histogram(samples, values["p50"], values["p95"])
        label = f"{stage.replace('_', ' ')}<small>{STAGE_NOTES.get(stage, '')}</small>"
        rows.append(f'<tr><td>{label}</td><td class="chart">{chart}</td>{numbers}</tr>')
    if not rows:
        return ""
    head = "<tr><th>stage</th><th></th><th>p50</th><th>p95</th><th>p99</th><th>max</th></tr>"
    note = (
        "Milliseconds by frame. Line: median, dashed: 95th percentile; the last bar holds what lies beyond."
    )
    faint = evaluation.score_threshold == LOWEST_SCORE and "detection" in manifest.tasks
    if faint and "publish" in evaluation.samples_ms:
        note += (
            f" Here the node publishes detections from score {LOWEST_SCORE:g}, which takes longer than "
            "from 0.3 as on a vehicle; for that latency replay with -p score_threshold:=0.3."
        )
    means = {
        stage: float(evaluation.samples_ms[stage].mean())
        for stage in _PARTS
        if stage in evaluation.samples_ms
    }
    if {"total", "end_to_end"} <= evaluation.samples_ms.keys():
        outside = float(np.mean(evaluation.samples_ms["end_to_end"])) - float(
            np.mean(evaluation.samples_ms["total"])
        )
        means["transport"] = max(0.0, outside)
    table = f'<div class="scroll"><table>{head}{"".join(rows)}</table></div>'
    return _card("Latency by stage", note, charts.stage_shares(means) + table)


def _over_time(evaluation: Evaluation) -> str:
    if not evaluation.scored:
        return ""
    note = "Each dot is an answered frame; red marks below are frames that got no answer."
    cards = _card("Latency and drops over time", note, charts.timeline(evaluation.scored))
    if any(frame.miou is not None for frame in evaluation.scored):
        note = "Mean IoU of each labelled frame by itself, over the classes that it shows."
        cards += _card("Quality over time", note, charts.quality_line(evaluation.scored))
    return cards


def _examples(manifest: Manifest, figures: Sequence[tuple[str, str]]) -> str:
    if not figures:
        return ""
    items = "".join(
        f'<li><i style="background:rgb{item.color}"></i>{escape(item.name.replace("_", " "))}</li>'
        for item in manifest.classes
    )
    legend = f'<ul class="legend">{items}</ul>'
    return "".join(
        f'<section class="card"><h2>{escape(heading)}</h2>{legend}{content}</section>'
        for heading, content in figures
    )


def _details(evaluation: Evaluation, info: RunInfo) -> str:
    rows = [
        ("bag", info.bag),
        ("image topics", ", ".join(info.topics)),
        ("bundle", f"{info.bundle} {info.bundle_version}, {info.precision}"),
        ("model SHA-256", info.bundle_sha256),
        ("engine", info.engine or "unknown"),
        ("mode", info.mode),
        ("distill_perception", info.version + (f", git {info.git_hash}" if info.git_hash else "")),
        ("machine", info.machine),
        ("date", info.date),
    ]
    if evaluation.failure:
        rows.insert(0, ("ended early", evaluation.failure))
    if evaluation.map is not None:
        rows.append(("average precision", _scored(evaluation)))
    if evaluation.pace:
        rows.append(("frames sent late", str(evaluation.pace)))
    if evaluation.lost_on_the_way is not None:
        rows.append(("lost on the way to the node", f"{evaluation.lost_on_the_way} frames"))
    for topic, counters in evaluation.counters.items():
        words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in counters.items())
        rows.append((f"node's counters of {topic}", words))
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in rows)
    return f'<section class="card"><h2>How this was measured</h2><dl>{items}</dl></section>'
