"""No bundle is written whose forms do not say what the trained network says."""

from __future__ import annotations

import errno
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distill_perception.bundle import MANIFEST_NAME, Bundle, read_manifest, write_manifest
from tests.support.tiny_bundle import write_tiny_bundle
from tests.support.tiny_nets import tiny_net
from tests.support.tiny_training import tiny_recipe, write_color_blocks
from training.compression.spec import QuantizeSpec
from training.data.source_spec import FolderSpec
from training.errors import GateError, TrainingError
from training.export import pass_gate as passing
from training.export import write_bundle as writing
from training.export.draft import draft_bundle
from training.export.write_bundle import ExportRequest, write_bundle
from training.models.multi_task import MultiTaskNet
from training.models.spec import FpnSpec, ModelSpec
from training.run_folder import load_model, write_untrained

HEAD = 2  # the last layer of the head


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmenter: on blocks of one colour an untrained detector's boxes are ties, which rounding breaks."""
    folder = tmp_path_factory.mktemp("student")
    frames = write_color_blocks(folder / "val", frames=2)
    spec = ModelSpec(pretrained=False, width_multiplier=0.25, decoder=FpnSpec(width=16))
    write_untrained(folder / "run", tiny_recipe(frames, frames, model=spec), student(), None)
    return folder / "run"


def student() -> MultiTaskNet:
    return tiny_net(tasks=("segmentation",))


def request(run: Path, out: Path, labels: bool) -> ExportRequest:
    """An export with an FP16 form, scored on labels or, without them, on FP32's own answers."""
    recipe, _ = load_model(run)
    frames = FolderSpec(name="blocks", path=run.parent / "val", use_masks=labels)
    data = recipe.data.model_copy(update={"val": [frames]})
    return ExportRequest(run, out, "1.0.0", "Apache-2.0", (), "export", fp16=True, data=data)


@pytest.fixture
def tamper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Let one precision's file be another network's, in which everything is of one class."""

    def change(precision: str) -> None:
        other = student()
        with torch.no_grad():
            other.head[-1].bias[3] += 100

        def draft(model: Any, recipe: Any, folder: Path, *more: Any) -> Bundle:
            made = draft_bundle(model, recipe, folder, *more)
            wrong = draft_bundle(other, recipe, tmp_path / "wrong", *more)
            shutil.copyfile(wrong.model_path(precision), made.model_path(precision))
            return made

        monkeypatch.setattr(writing, "draft_bundle", draft)

    return change


def refused(asked: ExportRequest) -> str:
    """Why nothing was written; nothing is left behind."""
    with pytest.raises(GateError) as caught:
        write_bundle(asked)
    assert not asked.out.exists()
    assert not list(asked.out.parent.glob(".export-*"))
    return str(caught.value)


def test_what_is_missing_or_misnamed_is_told_before_the_work(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the export has begun")

    monkeypatch.setattr(writing, "draft_bundle", never)
    asked = request(run, tmp_path / "b", labels=True)
    with pytest.raises(TrainingError, match=r"nowhere/result\.json is missing"):
        write_bundle(replace(asked, compare=(tmp_path / "nowhere",)))
    with pytest.raises(TrainingError, match="'my student' cannot be one"):
        write_bundle(replace(asked, out=tmp_path / "my student"))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "draft_bundle", full)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk_is_one_line_with_the_place(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cannot write .*/b: No space left .* choose another --out"):
        write_bundle(request(run, tmp_path / "b", labels=True))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("full_disk")
def test_lost_forms_of_a_replaced_bundle_are_told_before_the_work(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write_tiny_bundle(tmp_path / "b")
    manifest = read_manifest(old / MANIFEST_NAME)
    (entry,) = manifest.precisions.values()
    write_manifest(old, manifest.model_copy(update={"precisions": {"fp32": entry, "int8": entry}}))
    asked = request(run, old, labels=True)  # of fp32 and fp16
    for form, said in ((None, 1), (QuantizeSpec(), 0)):
        with pytest.raises(TrainingError, match="cannot write"):
            write_bundle(replace(asked, int8=form))
        assert capsys.readouterr().err.count("; the new one lacks int8\n") == said


def test_fp32_that_says_something_else_is_not_written(run: Path, tmp_path: Path, tamper: Any) -> None:
    tamper("fp32")
    said = refused(request(run, tmp_path / "b", labels=True))
    assert "parity: fp32 on openvino agrees with torch on" in said
    assert f"the first layer that differs is head.{HEAD}, by 100 of" in said


def test_fp32_that_scores_otherwise_is_not_written(
    run: Path, tmp_path: Path, tamper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper("fp32")
    monkeypatch.setattr(passing, "require_parity", lambda *_: None)
    assert "fp32 on openvino has" in refused(request(run, tmp_path / "b", labels=True))


def test_a_reduced_precision_that_loses_too_much_is_not_written(
    run: Path, tmp_path: Path, tamper: Any
) -> None:
    tamper("fp16")
    said = refused(request(run, tmp_path / "b", labels=False))
    assert "fp16 on openvino loses" in said
    assert "fp32's answers as labels" in said
    assert f"its error grows most at layer head.{HEAD}, by" in said
    assert "--max-drop" in said


def test_what_keeps_the_limits_is_written_with_the_scores_of_every_form(run: Path, tmp_path: Path) -> None:
    bundle, _ = write_bundle(request(run, tmp_path / "b", labels=True))
    found: dict[str, set[str]] = {}
    for metric in bundle.manifest.metrics:
        found.setdefault(metric.name, set()).add(metric.data.removeprefix("blocks val, "))
    engines = ("openvino", "onnxruntime")
    every = {f"2 frames, {form} on {engine}" for form in ("fp32", "fp16") for engine in engines}
    assert found["miou"] == {*every, "2 frames, fp32 in torch"}
    assert len(found["max_logit_difference_from_torch"]) == len(every)
    agreements = [item.value for item in bundle.manifest.metrics if item.name == "mask_agreement_with_torch"]
    assert min(agreements) > 0.99
