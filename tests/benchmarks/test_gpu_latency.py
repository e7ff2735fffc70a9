"""The GPU benchmark without a GPU: what it asks of engines."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import gpu_latency
from distill_perception.engines.tensorrt.store import VARIABLE
from tests.support.tiny_bundle import write_tiny_bundle


def run(*words: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(gpu_latency.main)
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, SystemExit | None), done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize("batches", ["x", "0", "4,-1", "1,", ""])
def test_batches_that_are_no_numbers_from_one_on_are_refused(batches: str) -> None:
    code, output = run("--batches", batches)
    assert code == 2
    assert "is not a list such as 1,4" in output


def test_every_batch_size_starts_without_the_engines_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "unused")
    stored: list[tuple[int, list[str]]] = []

    def open_engine(bundle: object, engine: str, settings: SimpleNamespace) -> SimpleNamespace:
        cache = Path(os.environ[VARIABLE])
        stored.append((settings.max_batch, [file.name for file in cache.iterdir()]))
        (cache / f"batch{settings.max_batch}.engine").touch()
        return SimpleNamespace(
            close=lambda: None,
            infer=lambda frames: None,
            input_size=(4, 4),
            description=engine,
            precision=settings.precision,
        )

    monkeypatch.setattr(gpu_latency, "open_engine", open_engine)
    monkeypatch.setattr(gpu_latency, "find_gpu", lambda device: None)
    monkeypatch.setattr(gpu_latency, "engine_problems", lambda device: {"tensorrt": None})
    bundle = write_tiny_bundle(tmp_path / "b", ("segmentation",))
    code, output = run("--bundle", str(bundle), "--batches", "4,1", "--calls", "10")
    assert code == 0, output
    assert stored == [(4, []), (4, ["batch4.engine"]), (1, []), (1, ["batch1.engine"])]
