"""The table of losses."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from distill_perception.compare.ablation import ablation_table, compare_losses
from distill_perception.compare.errors import CompareError
from tests.compare.runs import write_run, write_seeds, write_staged


def block(folder: Path, baseline: str | None = None, metrics: Sequence[str] = ("miou/camvid",)) -> str:
    return ablation_table(compare_losses([folder], baseline, metrics), metrics)


def test_losses_are_held_against_labels_only_worked_by_hand(tmp_path: Path) -> None:
    write_run(tmp_path / "big", 1, {"miou/camvid": 0.8})
    teacher = {"run": "big"}
    write_seeds(tmp_path, "labels", [0.70, 0.72])
    write_seeds(tmp_path, "a", [0.71, 0.75], losses=[{"name": "kl", "weight": 1.0}], teacher=teacher)
    both = [{"name": "kl"}, {"name": "cwd", "weight": 3.0}, {"name": "mse", "weight": 0.0}]
    write_seeds(tmp_path, "b", [0.73], losses=both, teacher=teacher)
    annealed = [{"name": "kl", "weight": {"start": 8, "end": 1}}]
    write_seeds(tmp_path, "c", [0.69, 0.71], losses=annealed, teacher=teacher)
    assert block(tmp_path).splitlines() == [
        "| loss | miou/camvid, mean ± spread (n) | difference |",
        "| --- | ---: | ---: |",
        "| labels only | 0.7100 ± 0.0141 (2) | baseline |",
        "| teacher big | 0.8000 (1) | +0.0900 (unpaired) |",
        "| kl | 0.7300 ± 0.0283 (2) | +0.0200 ± 0.0141 (2) |",
        "| kl + 3 cwd | 0.7300 (1) | +0.0300 (1) |",
        "| 8→1 kl | 0.7000 ± 0.0141 (2) | -0.0100 ± 0.0000 (2) |",
    ]


def test_staged_arms_of_several_seeds_make_a_table(tmp_path: Path) -> None:
    write_staged(tmp_path, "labels", [0.70, 0.72])
    write_staged(tmp_path, "kl", [0.71, 0.75], losses=[{"name": "kl"}], teacher={"run": "t"})
    assert block(tmp_path).splitlines()[2:] == [
        "| labels only | 0.7100 ± 0.0141 (2) | baseline |",
        "| kl | 0.7300 ± 0.0283 (2) | +0.0200 ± 0.0141 (2) |",
    ]


def test_a_teacher_of_each_seed_is_no_run_on_labels_only(tmp_path: Path) -> None:
    write_seeds(tmp_path, "big", [0.80, 0.82])
    write_seeds(tmp_path, "labels", [0.70, 0.72])
    for seed in (1, 2):
        told = {"losses": [{"name": "kl"}], "teacher": {"run": f"big_s{seed}"}}
        write_run(tmp_path / f"kl_s{seed}", seed, {"miou/camvid": 0.75}, **told)
    assert [row.split(" | ")[0] for row in block(tmp_path).splitlines()[2:]] == [
        "| labels only",
        "| teacher big",
        "| kl",
    ]


def test_equal_losses_are_told_apart_by_their_groups(tmp_path: Path) -> None:
    write_seeds(tmp_path, "labels", [0.7])
    for width in (32, 96):
        write_seeds(tmp_path, f"w{width}", [0.7], losses=[{"name": "kl"}], teacher={"run": "t"}, width=width)
    table = block(tmp_path)
    assert "| kl (w32) |" in table
    assert "| kl (w96) |" in table


def test_a_loss_on_maps_is_told_from_the_same_loss_on_logits(tmp_path: Path) -> None:
    write_seeds(tmp_path, "labels", [0.7])
    for name, module, weight in (("outputs", "logits", 3), ("inside", "decoder", 50)):
        loss = {"name": "cwd", "weight": weight, "student": module, "teacher": f"model.{module}"}
        write_seeds(tmp_path, name, [0.7], losses=[loss], teacher={"run": "t"})
    assert [row.split(" | ")[0] for row in block(tmp_path).splitlines()[2:]] == [
        "| labels only",
        "| 50 cwd of decoder",
        "| 3 cwd",
    ]


def test_without_one_recipe_without_losses_a_baseline_must_be_named(tmp_path: Path) -> None:
    write_seeds(tmp_path, "kl", [0.7, 0.71], losses=[{"name": "kl"}], teacher={"run": "t"})
    with pytest.raises(CompareError, match="no group without distillation losses"):
        block(tmp_path)
    assert "| kl | 0.7050 ± 0.0071 (2) | baseline |" in block(tmp_path, "kl")


def test_other_metrics_are_shown_side_by_side(tmp_path: Path) -> None:
    write_seeds(tmp_path, "labels", [0.7])
    write_seeds(tmp_path, "kl", [0.71], losses=[{"name": "kl"}], teacher={"run": "t"})
    rows = block(tmp_path, metrics=["iou/camvid/sky", "miou/camvid"]).splitlines()
    assert rows[2] == "| labels only | 0.9000 (1) | baseline | 0.7000 (1) | baseline |"
    assert rows[3] == "| kl | 0.9000 (1) | +0.0000 (1) | 0.7100 (1) | +0.0100 (1) |"
