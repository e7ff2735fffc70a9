"""Where a replay's numbers come from: what was run, on what, by which version."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import __version__
from ..bundle import Bundle
from ..commit import git_hash
from ..machine import describe_machine


@dataclass(frozen=True)
class RunInfo:
    """Provenance, written into metrics.json and the report. rate: None where the pace is not the bag's."""

    bag: str
    topics: tuple[str, ...]
    bundle: str
    bundle_version: str
    bundle_sha256: str
    engine: str
    precision: str
    mode: str
    rate: float | None
    version: str
    git_hash: str | None
    date: str
    machine: str

    def as_dict(self) -> dict[str, Any]:
        """For metrics.json."""
        return asdict(self)


def run_info(
    bag: Path,
    topics: tuple[str, ...],
    bundle: Bundle,
    precision: str,
    engine: str,
    mode: str,
    rate: float | None,
) -> RunInfo:
    """Gather what is known about this run."""
    manifest = bundle.manifest
    model = manifest.precisions.get(precision)
    return RunInfo(
        bag=str(bag),
        topics=topics,
        bundle=manifest.name,
        bundle_version=manifest.version,
        bundle_sha256=model.sha256 if model else "",
        engine=engine,
        precision=precision,
        mode=mode,
        rate=rate,
        version=__version__,
        git_hash=git_hash(),
        date=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC"),
        machine=describe_machine(),
    )
