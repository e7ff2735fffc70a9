"""By which frames and scores reduced precisions are judged."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from distill_perception.bundle import Bundle
from tests.support.tiny_nets import tiny_net
from tests.support.tiny_training import untrained_run, write_color_blocks
from training.compression.spec import QuantizeSpec
from training.data.source_spec import FolderSpec
from training.errors import GateError, TrainingError
from training.export import pass_gate as passing
from training.export.draft import draft_bundle
from training.export.forms import Form, judged_forms
from training.export.gate import Budget, Judge, fp32_complaint, growing_error, judges, score_form
from training.export.graph import DeployedNet
from training.export.parity import HARDLY_TRAINED, form_answers, measure_parity
from training.export.pass_gate import pass_gate
from training.models.multi_task import MultiTaskNet
from training.recipe import Recipe
from training.run_folder import load_model


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_color_blocks(tmp_path_factory.mktemp("blocks") / "val", 3, 5, boxes=True)


@pytest.fixture(scope="module")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Recipe]:
    """FP32 and FP16 forms of an untrained network, and its recipe."""
    folder = tmp_path_factory.mktemp("run")
    recipe, _ = load_model(untrained_run(folder))
    return draft_bundle(tiny_net(), recipe, folder / "bundle", fp16=True), recipe


def one_class_net() -> MultiTaskNet:
    """Everything is of class 3."""
    net = tiny_net()
    with torch.no_grad():
        net.head[-1].bias[3] += 100
    return net


def validated_on(recipe: Recipe, *sources: FolderSpec) -> Recipe:
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"val": list(sources)})})


def source(path: Path, name: str, masks: bool = True, boxes: bool = True) -> FolderSpec:
    return FolderSpec(name=name, path=path, use_masks=masks, use_boxes=boxes)


def judged(found: Sequence[Judge]) -> list[tuple[str, list[str]]]:
    return [(judge.about, list(judge.counted_from)) for judge in found]


def test_a_score_is_judged_on_the_first_source_with_labels_for_it(
    drafted: tuple[Bundle, Recipe], blocks: Path
) -> None:
    bundle, recipe = drafted
    several = validated_on(
        recipe, source(blocks, "masks", boxes=False), source(blocks, "both"), source(blocks, "more")
    )
    assert judged(judges(bundle, several, Budget())) == [
        ("masks val, 3 frames", ["miou"]),
        ("both val, 3 frames", ["map50"]),
        ("more val, 3 frames", []),
    ]


def test_int8_is_judged_as_tensorrt_rounds_it_too(
    drafted: tuple[Bundle, Recipe], blocks: Path, tmp_path: Path
) -> None:
    _, recipe = drafted
    bundle = draft_bundle(tiny_net(), recipe, tmp_path / "int8", QuantizeSpec(frames=2))
    forms = [form for form in judged_forms(bundle) if form.precision == "int8"]
    assert forms[-1].name == "int8 as TensorRT rounds it"
    (judge,) = judges(bundle, validated_on(recipe, source(blocks, "a")), Budget())
    for form in forms:
        assert score_form(bundle, judge, form).keys() >= {"miou", "map50", "map"}


def test_losses_count_from_the_baseline_where_it_names_the_score(
    drafted: tuple[Bundle, Recipe], blocks: Path
) -> None:
    bundle, recipe = drafted
    (judge,) = judges(bundle, validated_on(recipe, source(blocks, "a")), Budget(0.02, {"miou": 0.9}))
    assert judge.counted_from == {"miou": 0.9, "map50": judge.full["map50"]}
    assert not judge.complaint("int8", {"miou": 0.881, "map50": judge.full["map50"]})
    assert "int8 loses 0.0300 miou on a val, 3 frames (of 0.9000)" in judge.complaint(
        "int8", {"miou": 0.87, "map50": judge.full["map50"]}
    )


def test_the_baseline_is_of_the_first_source_and_of_no_other(
    drafted: tuple[Bundle, Recipe], blocks: Path
) -> None:
    bundle, recipe = drafted
    several = validated_on(recipe, source(blocks, "masks", boxes=False), source(blocks, "both"))
    first, second = judges(bundle, several, Budget(0.02, {"miou": 0.9, "map50": 0.8}))
    assert first.counted_from == {"miou": 0.9}
    assert second.counted_from == {"map50": second.full["map50"]}
    assert second.full["map50"] < 0.5


def test_fp32_scores_what_torch_does_on_every_engine(drafted: tuple[Bundle, Recipe], blocks: Path) -> None:
    bundle, recipe = drafted
    (judge,) = judges(bundle, validated_on(recipe, source(blocks, "a")), Budget())
    form = Form("openvino", "fp32")
    torch_scores = {"miou": 0.7, "map50": 0.5}
    assert not fp32_complaint(judge, form, {"miou": 0.701, "map50": 0.495}, torch_scores)
    assert not fp32_complaint(judge, form, {"miou": 0.7}, {"miou": 0.7}), "no boxes"
    for found in ({"miou": 0.69, "map50": 0.5}, {"miou": 0.71, "map50": 0.5}, {"miou": np.nan, "map50": 0.5}):
        assert "fp32 on openvino has" in fp32_complaint(judge, form, found, torch_scores)


def test_where_scores_are_tied_that_is_said_of_boxes(drafted: tuple[Bundle, Recipe], blocks: Path) -> None:
    bundle, recipe = drafted
    (judge,) = judges(bundle, validated_on(recipe, source(blocks, "a")), Budget())
    form, torch_scores = Form("openvino", "fp32"), {"miou": 0.7, "map50": 0.0619}
    boxes, masks = {"miou": 0.7, "map50": 0.0975}, {"miou": 0.6, "map50": 0.0619}
    assert fp32_complaint(judge, form, boxes, torch_scores, tied=True).endswith(f"apart; {HARDLY_TRAINED}")
    assert fp32_complaint(judge, form, boxes, torch_scores).endswith("apart")
    assert fp32_complaint(judge, form, masks, torch_scores, tied=True).endswith("apart")


@pytest.mark.parametrize("learnt", [False, True])
def test_the_gate_sees_that_a_detector_has_hardly_learnt(
    learnt: bool,
    drafted: tuple[Bundle, Recipe],
    blocks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle, recipe = drafted
    net = tiny_net()
    if learnt:
        with torch.no_grad():
            net.detection_head.heatmap[-1].weight.mul_(1e4)
        bundle = draft_bundle(net, recipe, tmp_path / "learnt")
    monkeypatch.setattr(passing, "require_parity", lambda *_: None)
    monkeypatch.setattr(passing, "fp32_complaint", lambda *_: "tied" if _[-1] else "well apart")
    with pytest.raises(GateError, match="well apart" if learnt else "tied"):
        pass_gate(bundle, DeployedNet(net), validated_on(recipe, source(blocks, "a")), Budget(), "")


def test_boxes_may_have_a_budget_of_their_own(drafted: tuple[Bundle, Recipe], blocks: Path) -> None:
    bundle, recipe = drafted
    begin = {"miou": 0.9, "map50": 0.5}
    budget = Budget(0.02, begin, max_map50_drop=0.1)
    (judge,) = judges(bundle, validated_on(recipe, source(blocks, "a")), budget)
    assert not judge.complaint("int8", {"miou": 0.881, "map50": 0.41})
    assert "0.0300 miou" in judge.complaint("int8", {"miou": 0.87, "map50": 0.41})
    assert "0.1500 map50" in judge.complaint("int8", {"miou": 0.9, "map50": 0.35})


def test_forms_agree_with_torch_as_far_as_their_files_do(
    drafted: tuple[Bundle, Recipe], tmp_path: Path
) -> None:
    """The layer whose weights another network's files have otherwise is named."""
    _, recipe = drafted
    frames = np.random.default_rng(0).integers(0, 256, (2, *recipe.data.size, 3), np.uint8)
    full, changed = tiny_net(), one_class_net()
    whole, other = (
        draft_bundle(net, recipe, tmp_path / name, QuantizeSpec(frames=2))
        for net, name in ((full, "whole"), (changed, "other"))
    )
    broken = Bundle(tmp_path / "broken", whole.manifest)
    shutil.copytree(whole.path, broken.path)
    shutil.copyfile(other.model_path("int8"), broken.model_path("int8"))
    masks = [form_answers(item, Form("onnxruntime", "fp32"), frames) for item in (whole, other)]
    share = np.mean([(one["mask"] == two["mask"]).mean() for one, two in zip(*masks, strict=True)])
    reduced = [form for form in judged_forms(broken) if form.precision == "int8"]
    assert len(reduced) >= 3
    good, bad = (measure_parity(DeployedNet(full), item, frames, reduced) for item in (whole, broken))
    for form in reduced:
        assert good[form].mask_agreement == pytest.approx(1, abs=0.1)
        assert good[form].max_logit_difference == pytest.approx(0, abs=1)
        assert bad[form].mask_agreement == pytest.approx(share, abs=0.1)
        assert bad[form].max_logit_difference == pytest.approx(100, abs=1)
        assert f"at layer head.{len(full.head) - 1}, " in growing_error(broken, form, frames[0])
    assert share < 0.5


@pytest.fixture
def unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrained network is sure of nothing."""
    monkeypatch.setattr("training.export.gate.ANSWERS_FROM", 0.05)


@pytest.mark.usefixtures("unsure")
def test_without_labels_a_form_is_judged_by_what_fp32_answers(
    drafted: tuple[Bundle, Recipe], blocks: Path, tmp_path: Path
) -> None:
    bundle, recipe = drafted
    unlabelled = validated_on(recipe, source(blocks, "drive", masks=False, boxes=False))
    found = judges(bundle, unlabelled, Budget())
    about = "drive val, 3 frames, fp32's answers as labels"
    assert judged(found) == [("drive val, 3 frames", []), (about, ["miou", "map50"])]
    forms = [form for form in judged_forms(bundle) if form.precision != "fp32"]
    assert {form.precision for form in forms} == {"fp16"}
    for form in forms:
        assert not found[1].complaint("fp16", score_form(bundle, found[1], form))
    other = draft_bundle(one_class_net(), recipe, tmp_path / "other", fp16=True)
    broken = Bundle(tmp_path / "broken", bundle.manifest)
    shutil.copytree(bundle.path, broken.path)
    shutil.copyfile(other.model_path("fp16"), broken.model_path("fp16"))
    (_, lenient) = judges(bundle, unlabelled, Budget(1.0))
    for form in forms:
        assert "fp16 loses" in found[1].complaint("fp16", score_form(broken, found[1], form))
        assert not lenient.complaint("fp16", score_form(broken, lenient, form))


@pytest.mark.usefixtures("unsure")
def test_only_what_has_no_labels_is_judged_by_answers(drafted: tuple[Bundle, Recipe], blocks: Path) -> None:
    bundle, recipe = drafted
    found = judges(bundle, validated_on(recipe, source(blocks, "a", boxes=False)), Budget())
    assert [names for _, names in judged(found)] == [["miou"], ["map50"]]
    sample = found[1].source[0]
    assert (sample.has_mask, sample.has_boxes) == (False, True)


def test_where_nothing_can_be_judged_the_remedy_is_said(drafted: tuple[Bundle, Recipe], blocks: Path) -> None:
    bundle, recipe = drafted
    unlabelled = validated_on(recipe, source(blocks, "drive", boxes=False))
    with pytest.raises(TrainingError, match="nobody can say what a reduced precision loses: add frames"):
        judges(bundle, unlabelled, Budget())
