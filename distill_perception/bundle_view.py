"""Bundles as a person in a terminal wants to see them."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from .bundle import load_bundle
from .engines import EngineSettings, open_engine
from .terminal import OUT, facts


def print_bundle(name: str) -> None:
    """Print a bundle's manifest; files are not hashed."""
    bundle = load_bundle(name, verify=False)
    manifest, origin = bundle.manifest, bundle.manifest.provenance
    spec = manifest.input
    OUT.print(Text(f"{manifest.name} {manifest.version}", "bold"), manifest.description)
    OUT.print(
        facts(
            [
                ("folder", bundle.path),
                ("tasks", ", ".join(manifest.tasks)),
                ("input", f"{spec.width}x{spec.height} {spec.channel_order}, {spec.resize}"),
                ("licence", manifest.license),
                *(
                    (f"{key}", f"{file.file}  sha256 {file.sha256}")
                    for key, file in manifest.precisions.items()
                ),
                *((key, value) for key, value in origin.model_dump().items() if value not in ("", None)),
            ]
        )
    )
    classes = Table("id", "class", "kind", "colour", box=None, header_style="dim", pad_edge=False)
    for item in manifest.classes:
        swatch = Text("    ", style="on #{:02x}{:02x}{:02x}".format(*item.color))
        classes.add_row(str(item.id), item.name, item.kind, swatch)
    if manifest.void_id is not None:
        classes.add_row(str(manifest.void_id), "(void)", "", "")
    OUT.print(classes)
    if manifest.metrics:
        commands = list(dict.fromkeys(metric.command for metric in manifest.metrics))
        metrics = Table("metric", "value", "data", "by", box=None, header_style="dim", pad_edge=False)
        for metric in manifest.metrics:
            by = f"[{commands.index(metric.command) + 1}]"
            metrics.add_row(metric.name, f"{metric.value:.4g}", metric.data, Text(by))
        OUT.print(metrics)
        OUT.print(facts([(f"[{number}]", command) for number, command in enumerate(commands, 1)]))


def verify_bundle(name: str, engine: str = "auto", device: str = "auto") -> None:
    """Check hashes, then load and run every precision once.

    Raises:
        BundleError, EngineError: the first thing that is wrong.
    """
    bundle = load_bundle(name, verify=True)
    _ok(f"{bundle.path}: manifest and SHA-256 of {len(bundle.manifest.precisions)} file(s)")
    for precision in bundle.manifest.precisions:
        opened = open_engine(bundle, engine, EngineSettings(precision, device))
        _ok(f"{precision}: graph keeps the contract, runs on {opened.description}")
        opened.close()


def _ok(text: str) -> None:
    OUT.print(Text.assemble(("ok", "green"), "  ", text))
