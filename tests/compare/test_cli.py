"""The command `compare` as a person calls it."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from distill_perception.compare.cli import compare_command
from distill_perception.compare.errors import CompareError
from tests.compare.runs import write_run, write_seeds

COST = {"latency_ms": {"openvino, cpu, fp32": 11.0}}


def command(*words: object) -> Result:
    app = typer.Typer(rich_markup_mode="markdown")
    app.command()(compare_command)
    return CliRunner(env={"COLUMNS": "160", "TERM": "dumb"}).invoke(app, [str(word) for word in words])


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_seeds(tmp_path / "runs", "labels", [0.70, 0.72], cost=COST)
    write_seeds(
        tmp_path / "runs", "kl", [0.71, 0.75], losses=[{"name": "kl"}], teacher={"run": "t"}, cost=COST
    )
    write_run(tmp_path / "runs" / "open", 1, None)
    return tmp_path / "runs"


def test_the_table_is_printed_and_unfinished_runs_are_listed(runs: Path) -> None:
    done = command(runs, "--baseline", "labels")
    assert done.exit_code == 0, done.output
    assert "+0.0200 ± 0.0141" in done.output
    assert "open: unfinished" in done.output


def test_every_output_is_written(runs: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    words = ["--markdown", out / "t.md", "--json", out / "t.json", "--figure", out / "f.svg"]
    done = command(runs, "--baseline", runs / "labels_s1", *words)
    assert done.exit_code == 0, done.output
    assert "| labels | 2 |" in (out / "t.md").read_text()
    assert json.loads((out / "t.json").read_text())["baseline"] == "labels"
    assert "<svg" in (out / "f.svg").read_text()


def test_ablation_prints_the_block_and_writes_the_same(runs: Path, tmp_path: Path) -> None:
    done = command(runs, "--ablation", "--markdown", tmp_path / "a.md")
    assert done.exit_code == 0, done.output
    assert "| kl | 0.7300 ± 0.0283 (2) | +0.0200 ± 0.0141 (2) |" in done.stdout
    assert (tmp_path / "a.md").read_text() == done.stdout


def test_the_metric_can_be_chosen(runs: Path) -> None:
    done = command(runs, "-m", "iou/camvid/*")
    assert "iou/camvid/sky" in done.output
    assert "miou/camvid" not in done.output


def test_errors_are_of_ours_and_nothing_is_written_before(runs: Path, tmp_path: Path) -> None:
    for words in ((tmp_path / "nowhere",), (runs, "--baseline", "lables"), (runs, "--figure", "a.gif")):
        done = command(*words, "--markdown", tmp_path / "t.md")
        assert isinstance(done.exception, CompareError)
    assert not (tmp_path / "t.md").exists()


def test_an_engine_without_a_figure_is_a_mistake(runs: Path) -> None:
    done = command(runs, "--engine", "openvino")
    assert done.exit_code == 2
    assert "--figure" in done.output


def test_help_explains_itself() -> None:
    done = command("--help")
    assert done.exit_code == 0
    for text in ("--baseline", "--ablation", "differ only in the seed", "bundle", "replay"):
        assert text in done.output
