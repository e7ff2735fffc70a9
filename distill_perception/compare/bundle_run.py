"""A bundle as a `Run`: the metrics of its manifest."""

from __future__ import annotations

import re
from pathlib import Path

from ..manifest import MANIFEST_NAME, read_manifest
from .run import Metrics, Run, Teacher
from .seeds import without_seed

# A metric's data says "camvid val, 101 frames, onnxruntime"; in run folders the same score is miou/camvid.
# Parity's says "9 val frames, openvino": frames of no one data set.
_SOURCE = re.compile(r"([\w.-]+) val,")
_NONE = re.compile(r"none\b")  # "none, labels only"
_OTHER_RUNS = "/torch"  # ends the names of scores that runs got before they became bundles


def is_bundle(folder: Path) -> bool:
    """Whether a manifest lies there."""
    return (folder / MANIFEST_NAME).is_file()


def read_bundle(folder: Path) -> Run:
    """Read a bundle's manifest; its model files are not looked at.

    Raises:
        BundleError: the manifest is not valid.
    """
    manifest = read_manifest(folder / MANIFEST_NAME)
    origin = manifest.provenance
    metrics: Metrics = {}
    for metric in manifest.metrics:
        if not metric.name.endswith(_OTHER_RUNS):
            source = _SOURCE.match(metric.data)
            head, slash, rest = metric.name.partition("/")
            name = f"{head}/{source[1]}{slash}{rest}" if source else metric.name
            metrics.setdefault(name, metric.value)
    name = without_seed(manifest.name, origin.seed)
    return Run(
        path=folder,
        kind="bundle",
        name=f"{name} {manifest.version} (bundle)",
        key=f"bundle:{name} {manifest.version}",
        seed=origin.seed,
        metrics=metrics,
        teacher=Teacher(origin.teacher) if origin.teacher and not _NONE.match(origin.teacher) else None,
        origin={"date": origin.date, "git_hash": origin.git_hash},
    )
