"""Grids, Markdown and JSON."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from distill_perception.compare.comparison import Comparison, compare
from distill_perception.compare.grid import Grid, grid, number, quantity
from distill_perception.compare.show import as_json, markdown, print_comparison
from tests.compare.runs import write_run, write_seeds

COST = {"parameters": 3_242_000, "macs": 5_100_000_000, "latency_ms": {"openvino, cpu, fp32": 11.14}}


@pytest.fixture
def shown(tmp_path: Path) -> Comparison:
    """Labels only 0.70, 0.72; distilled 0.71, 0.75 from a teacher of 0.80; one unfinished."""
    write_seeds(tmp_path, "labels", [0.70, 0.72], cost=COST)
    write_seeds(tmp_path, "kl", [0.71, 0.75], losses=[{"name": "kl"}], teacher={"run": "big/teacher"})
    write_run(tmp_path / "cwd_s9", 9, {"miou/camvid": 0.74, "map50/camvid": 0.4})
    write_run(tmp_path / "open", 1, None)
    write_run(tmp_path / "big" / "teacher", 1, {"miou/camvid": 0.8})
    return compare([tmp_path], "labels")


def column(shown: Comparison, title: str) -> dict[str, str]:
    found = grid(shown)
    place = found.header.index(title)
    return {row[0]: row[place] for row in found.rows}


def test_cells_hold_mean_spread_and_paired_difference(shown: Comparison) -> None:
    values = column(shown, "miou/camvid")
    assert (values["labels"], values["kl"]) == ("0.7100 ± 0.0141", "0.7300 ± 0.0283")
    changes = column(shown, "Δ miou/camvid")
    assert changes["labels"] == "baseline"
    assert changes["kl"] == "+0.0200 ± 0.0141"
    assert changes["cwd"] == "+0.0300 (unpaired)"
    assert column(shown, "of teacher's")["kl"] == "0.912"  # 0.73 / 0.80 = 0.9125
    assert column(shown, "parameters")["labels"] == "3.24 M"
    assert column(shown, "MACs")["labels"] == "5.10 G"
    assert column(shown, "ms (openvino, cpu, fp32)") == {"labels": "11.1", "cwd": "-", "kl": "-"}


def test_one_teacher_of_all_seeds_is_paired_with_none_of_them(shown: Comparison, tmp_path: Path) -> None:
    found = compare([tmp_path, tmp_path / "big" / "teacher"], "labels")
    assert column(found, "Δ miou/camvid")["teacher"] == "+0.0900 (unpaired)"  # 0.80 - (0.70 + 0.72) / 2


def test_students_are_paired_with_none_of_the_one_teacher_of_all_where_it_is_the_baseline(
    shown: Comparison, tmp_path: Path
) -> None:
    found = compare([tmp_path], tmp_path / "big" / "teacher")
    assert column(found, "Δ miou/camvid")["kl"] == "-0.0700 (unpaired)"  # (0.71 + 0.75) / 2 - 0.80


def test_a_difference_says_of_how_many_seeds_it_is_where_the_baseline_lacks_some(tmp_path: Path) -> None:
    write_seeds(tmp_path, "labels", [0.70, 0.72])
    write_seeds(tmp_path, "kl", [0.71, 0.75, 0.99], losses=[{"name": "kl"}])
    assert column(compare([tmp_path], "labels"), "Δ miou/camvid")["kl"] == "+0.0200 ± 0.0141 (2)"


def test_each_reason_is_told_with_what_was_skipped_for_it_and_repeated_seeds_are_told(
    shown: Comparison, tmp_path: Path
) -> None:
    write_run(
        tmp_path / "more" / "kl_s1",
        1,
        {"miou/camvid": 0.7},
        losses=[{"name": "kl"}],
        teacher={"run": "big/teacher"},
    )
    (tmp_path / "more" / "notes").mkdir()
    lines = markdown(compare([tmp_path, tmp_path / "more", tmp_path / "more" / "notes"])).splitlines()
    assert f"- skipped {tmp_path / 'more' / 'notes'}: is no run" in lines
    assert any(line.startswith(f"- skipped {tmp_path / 'open'}: unfinished") for line in lines)
    assert "- 2 runs of 'kl' have seed 1: they are averaged and count once" in lines


def test_a_teacher_of_each_seed_is_paired_with_its_student(tmp_path: Path) -> None:
    write_seeds(tmp_path, "big", [0.80, 0.84])
    for seed, miou in ((1, 0.70), (2, 0.72)):
        told = {"losses": [{"name": "kl"}], "teacher": {"run": f"big_s{seed}"}}
        write_run(tmp_path / f"kl_s{seed}", seed, {"miou/camvid": miou}, **told)
    assert column(compare([tmp_path], "big"), "Δ miou/camvid")["kl"] == "-0.1100 ± 0.0141"


def test_the_teachers_column_is_explained_where_there_is_one(shown: Comparison, tmp_path: Path) -> None:
    assert "- teacher's: miou/camvid of teacher," in markdown(shown)
    gone = write_run(tmp_path / "alone" / "kl", 1, {"miou/camvid": 0.7}, teacher={"run": "runs/gone"})
    assert "teacher's" not in markdown(compare([gone]))


def test_a_metric_that_some_seeds_lack_says_how_many_have_it(tmp_path: Path) -> None:
    write_run(tmp_path / "a_s1", 1, {"miou": 0.7, "map50": 0.4})
    write_run(tmp_path / "a_s2", 2, {"miou": 0.7, "map50": None})
    assert column(compare([tmp_path]), "map50") == {"a": "0.4000 (1)"}


def test_columns_that_nobody_fills_are_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "a", 1, {"miou/camvid": 0.7})
    assert grid(compare([tmp_path])).header == ("run", "seeds", "miou/camvid")


def test_a_wide_grid_is_split_by_columns_and_differences_stay_with_their_metric() -> None:
    whole = Grid(("run", "seeds", "miou", "Δ miou", "ece"), (("kl", "3", "0.7000", "+0.0100", "0.0200"),))
    blocks = whole.split(20)
    assert [block.header for block in blocks] == [("run", "seeds"), ("run", "miou", "Δ miou"), ("run", "ece")]
    assert [block.rows[0][0] for block in blocks] == ["kl", "kl", "kl"]
    assert whole.split(200) == [whole]
    assert whole.split(1)[0].header == ("run", "seeds")  # as far as it goes


def test_the_terminal_shows_every_cell_at_any_width(shown: Comparison) -> None:
    for width in (60, 200):
        console = Console(file=io.StringIO(), width=width)
        print_comparison(shown, console)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        for part in ("0.7300 ± 0.0283", "+0.0200 ± 0.0141", "5.10 G", "unfinished", "difference to 'labels'"):
            assert part in text


def test_names_with_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    for weight in (1.0, 3.0):
        write_run(
            tmp_path / f"{weight:g}", 1, {"miou": 0.7}, name="kl", losses=[{"name": "kl", "weight": weight}]
        )
    console = Console(file=io.StringIO(), width=100)
    print_comparison(compare([tmp_path]), console)
    assert "kl [distillation.0.weight=3.0]" in console.file.getvalue()  # type: ignore[attr-defined]


def test_markdown_is_a_table_with_notes(shown: Comparison) -> None:
    lines = markdown(shown).splitlines()
    assert lines[0].startswith("| run | seeds | miou/camvid | Δ miou/camvid | teacher's |")
    assert lines[1].startswith("| --- | ---: |")
    assert len({line.count("|") for line in lines[:5]}) == 1
    assert any(line.startswith("- skipped") and "unfinished" in line for line in lines)


def test_json_holds_every_run_and_the_scores_by_class(shown: Comparison) -> None:
    loaded = json.loads(json.dumps(as_json(shown)))
    assert (loaded["baseline"], loaded["metrics"][0]) == ("labels", "miou/camvid")
    kl = next(group for group in loaded["groups"] if group["name"] == "kl")
    assert kl["metrics"]["miou/camvid"] == {
        "mean": pytest.approx(0.73),
        "sd": pytest.approx(0.0282843, abs=1e-6),
        "n": 2,
    }
    assert kl["difference"]["miou/camvid"]["pairs"] == 2
    assert kl["metrics"]["iou/camvid/sky"]["mean"] == pytest.approx(0.9)
    assert kl["teacher"] == {"name": "teacher", "metrics": {"miou/camvid": 0.8}}
    assert [run["seed"] for run in kl["runs"]] == [1, 2]
    assert "unfinished" in loaded["skipped"][0]["reason"]


def test_numbers_are_short() -> None:
    assert [number(0.67784), number(20.6412), number(0.015, "+")] == ["0.6778", "20.64", "+0.0150"]
    assert [number(-20.6412), quantity(1_000_000)] == ["-20.64", "1.00 M"]
    assert [number(0.0), number(3.21e-7), number(-4e-5, "+")] == ["0.0000", "3.2e-07", "-4.0e-05"]
    assert [quantity(value) for value in (None, 12, 1500, 3_242_000, 5_100_000_000)] == [
        "",
        "12",
        "1.50 k",
        "3.24 M",
        "5.10 G",
    ]
