"""From a fresh clone to the demo's report, as a newcomer with an empty home has it.

    python benchmarks/clone_to_report.py

Clones this repository's last commit, runs `make demo` in it and writes its seconds, in all and after the
installation, to `benchmarks/results/clone_to_report.json`. What pip downloads comes over this network.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from distill_perception.commit import git_hash
from distill_perception.machine import describe_machine

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "clone_to_report.json"
INSTALLED = "Set-up done in"  # said by scripts/setup.sh
WRITTEN = ("report/report.html", "report/metrics.json", "report/overlay.mp4")
# Of the caller's environment: which package index pip asks, and how it is reached.
KEPT = ("PIP_", "SSL_", "http", "https", "no_proxy", "HTTP", "HTTPS", "NO_PROXY")


def main(
    keep: Annotated[Path | None, typer.Option(help="Keep the demo's folder here.")] = None,
) -> None:
    """Clone, set up, run the demo; write the record that the documents show."""
    with tempfile.TemporaryDirectory() as scratch:
        clone, home, out = Path(scratch) / "clone", Path(scratch) / "home", keep or Path(scratch) / "demo"
        home.mkdir()
        environ = {key: value for key, value in os.environ.items() if key.startswith(KEPT)}
        environ |= {"HOME": str(home), "PATH": "/usr/local/bin:" + os.defpath, "LANG": "C.UTF-8"}
        begin = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        installed = _demo(clone, environ | {"OUT": str(out.resolve())})
        end = time.perf_counter()
        missing = [name for name in WRITTEN if not (out / name).is_file()]
        if missing:
            typer.echo(f"error: the demo did not write {', '.join(missing)}", err=True)
            raise typer.Exit(1)
        metrics: dict[str, Any] = json.loads((out / "report/metrics.json").read_text())
    record = {
        "total_s": round(end - begin),
        "after_installation_s": round(end - installed),
        "frames": metrics["frames"],
        "dropped": metrics["dropped"],
        "miou": metrics["miou"],
        "machine": describe_machine(),
        "git_hash": git_hash(),
        "command": "python benchmarks/clone_to_report.py",
    }
    RESULT.write_text(json.dumps(record, indent=2) + "\n")
    typer.echo(json.dumps(record, indent=2))


def _demo(clone: Path, environ: dict[str, str]) -> float:
    """Run the demo, passing its output on; returns when its installation was done."""
    installed = time.perf_counter()
    line = ["make", "demo"]
    with subprocess.Popen(line, cwd=clone, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            typer.echo(text, nl=False)
            if INSTALLED in text:
                installed = time.perf_counter()
    if process.returncode:
        raise typer.Exit(process.returncode)
    return installed


if __name__ == "__main__":
    typer.run(main)
