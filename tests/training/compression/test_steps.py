"""Single steps of a compression: where channels are cut, and trainings that begin anew."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.tiny_compression import compress_recipe
from training.compression.latency import Candidate, latencies_ms
from training.compression.pruning import run as pruning
from training.compression.pruning.channels import Widths, prunable_widths
from training.compression.spec import ChannelStep, FinetuneStep
from training.compression.steps import base_recipe, do
from training.models.multi_task import count_parameters
from training.models.table import count_macs
from training.recipe import load_recipe
from training.run_folder import load_model

pytestmark = pytest.mark.slow


def test_channels_go_until_macs_are_few_enough_though_latency_was_met_before(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "draft_bundle", lambda *_, **__: None)
    monkeypatch.setattr(pruning, "latencies_ms", lambda *_: [1.0, 0.1])
    step = ChannelStep(do="channels", latency=0.9, macs=0.5)
    spec = compress_recipe(student, steps=[step])
    pruning.prune_run(student, step, base_recipe(spec), spec, tmp_path / "out")
    frame = torch.empty(1, 3, *load_recipe(student / "recipe.yaml").data.size)
    macs = [count_macs(load_model(run)[1], frame) for run in (student, tmp_path / "out")]
    assert 0.4 < macs[1] / macs[0] <= 0.5


def some_groups(widths: Widths) -> Widths:
    """The detection head's, and every fifth of the others: each is cut and scored three times."""
    others = [name for name in widths if not name.startswith("detection_head")]
    kept = {name: width for name, width in widths.items() if name not in others or name in others[::5]}
    assert len(kept) < len(widths)
    assert sum(name.startswith("encoder") for name in kept) > 3
    return kept


def test_a_scan_cuts_where_the_engine_gets_faster_though_others_have_more_to_give(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        pruning, "draft_bundle", lambda model, *_, **__: count_parameters(model.detection_head)
    )
    monkeypatch.setattr(pruning, "latencies_ms", lambda items, *_: [float(item.bundle) for item in items])
    monkeypatch.setattr(pruning, "prunable_widths", lambda *given: some_groups(prunable_widths(*given)))
    step = ChannelStep(do="channels", latency=0.7, layers="sensitivity", frames=2)
    spec = compress_recipe(student, steps=[step])
    pruning.prune_run(student, step, base_recipe(spec), spec, tmp_path / "out")
    before, after = (load_model(run)[1] for run in (student, tmp_path / "out"))
    assert count_parameters(after.detection_head) / count_parameters(before.detection_head) <= 0.7
    assert count_parameters(after.encoder) == count_parameters(before.encoder)


@pytest.mark.parametrize("precision", ["fp32", "int8", "fp16"])
def test_channels_go_until_the_form_that_the_step_names_is_fast_enough(
    precision: str, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each form is opened and run; of its latency, parameters of the network are the measure here."""
    timed: list[Candidate] = []

    def latencies(items: list[Candidate], *settings: Any) -> list[float]:
        latencies_ms(items, *settings)
        timed.extend(items)
        return [float(item.bundle.model_path("fp32").stat().st_size) for item in items]

    monkeypatch.setattr(pruning, "latencies_ms", latencies)
    step = ChannelStep(do="channels", latency=0.6, precision=precision)
    spec = compress_recipe(student, steps=[step])
    pruning.prune_run(student, step, base_recipe(spec), spec, tmp_path / "out")
    assert {item.precision for item in timed} == {precision}
    kept = [count_parameters(load_model(run)[1]) for run in (student, tmp_path / "out")]
    assert 0.4 < kept[1] / kept[0] < 0.65


def test_a_changed_training_step_begins_anew(student: Path, tmp_path: Path) -> None:
    """Of its first try there is an epoch, of another learning rate and number of epochs."""
    spec = compress_recipe(student)
    for step, expected in (
        (FinetuneStep(do="finetune", epochs=1, lr=1e-3), (1, 1e-3)),
        (FinetuneStep(do="finetune", epochs=2, lr=1e-4), (2, 1e-4)),
    ):
        do(step, student, tmp_path / "step", base_recipe(spec), spec, sparse=False)
        optimizer = load_recipe(tmp_path / "step" / "run" / "recipe.yaml").optimizer
        assert (optimizer.epochs, optimizer.lr) == expected
        with (tmp_path / "step" / "run" / "log" / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["epoch"] for row in rows if row["miou/blocks"]] == [str(n) for n in range(expected[0])]


def test_a_step_that_shall_go_the_whole_way_after_all_goes_on_with_what_was_trained(
    student: Path, tmp_path: Path
) -> None:
    """What it had left is gone: a folder of the same recipe that holds a mean, and the one beside it."""
    spec = compress_recipe(student)
    half, whole = (FinetuneStep(do="finetune", epochs=1, share=share) for share in (0.5, 1.0))
    do(half, student, tmp_path / "step", base_recipe(spec), spec, sparse=False)
    trained = load_model(tmp_path / "step" / "trained")[1].state_dict()
    do(whole, student, tmp_path / "step", base_recipe(spec), spec, sparse=False)
    assert [place.name for place in (tmp_path / "step").iterdir()] == ["run"]
    found = load_model(tmp_path / "step" / "run")[1].state_dict()
    assert all(torch.equal(found[name], value) for name, value in trained.items())
