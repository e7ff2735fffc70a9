"""Training, resuming and exporting a tiny student, through the command line as a user would."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from distill_perception.bundle import Bundle, load_bundle
from distill_perception.compare.model_cost import ModelCost
from distill_perception.engines import EngineSettings, available_engines, open_engine
from tests.support.refusal import refusal
from tests.support.tiny_training import SIZE, tiny_recipe, write_color_blocks
from tests.support.training_command import training_command
from training.curves import read_log
from training.data.sources import open_source
from training.errors import TrainingError
from training.export.forms import forms_of
from training.export.graph import DeployedNet
from training.export.parity import measure_parity, require_parity
from training.models.spec import FpnSpec, ModelSpec
from training.recipe import OptimizerSpec, Recipe
from training.run_folder import load_model
from training.teachers.score import write_teacher_scores
from training.train import train

pytestmark = pytest.mark.slow


def save(recipe: Recipe, path: Path) -> Path:
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("blocks")
    return write_color_blocks(root / "train", 16, seed=1), write_color_blocks(root / "val", 4, seed=2)


@pytest.fixture(scope="module")
def teacher(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two epochs, stopped after the first and resumed."""
    root = tmp_path_factory.mktemp("teacher")
    first = training_command(
        "train", save(tiny_recipe(*folders, epochs=1), root / "a.yaml"), "--out", root / "run"
    )
    assert first.code == 0, first.err
    save(tiny_recipe(*folders, epochs=2), root / "b.yaml")
    assert "--resume" in refusal("train", root / "b.yaml", "--out", root / "run")
    second = training_command("train", root / "b.yaml", "--out", root / "run", "--resume")
    assert second.code == 0, second.err
    return root / "run"


@pytest.fixture(scope="module")
def student(folders: tuple[Path, Path], teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("student")
    recipe = tiny_recipe(
        *folders, epochs=1, teacher={"run": teacher}, distillation=[{"name": "kl", "temperature": 2.0}]
    )
    done = training_command("train", save(recipe, root / "s.yaml"), "--out", root / "run")
    assert done.code == 0, done.err
    return root / "run"


@pytest.fixture(scope="module")
def bundle(student: Path, teacher: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("bundles") / "tiny_student"
    scored = out.with_name("teachers")
    about = {"teacher": "one + other", "teacher_spec": {"ensemble": []}}
    write_teacher_scores(scored, {"miou/blocks": 0.5}, ModelCost(), about)
    done = training_command("export", student, "--out", out, "--compare", teacher, "--compare", scored)
    assert done.code == 0, done.err
    return load_bundle(out)


def test_resumed_run_goes_on_where_it_stopped_and_keeps_its_records(teacher: Path) -> None:
    checkpoint = torch.load(teacher / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    assert checkpoint["epoch"] == 1
    assert checkpoint["global_step"] == 8  # two epochs of 16 frames in batches of 4
    provenance = json.loads((teacher / "provenance.json").read_text())
    assert provenance["seed"] == 3
    assert {"git_hash", "command", "date", "torch"} <= provenance.keys()
    assert "--resume" not in provenance["command"]
    (again,) = provenance["resumed"]
    assert "--resume" in again["command"]
    assert again["date"] >= provenance["date"]
    assert (teacher / "curves.png").stat().st_size > 1000
    metrics = json.loads((teacher / "result.json").read_text())["metrics"]
    assert {"miou/blocks", "boundary_f/blocks", "ece/blocks"} <= metrics.keys()


def test_interrupted_training_keeps_its_epochs_and_says_how_to_go_on(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    recipe = save(tiny_recipe(*folders, epochs=500), tmp_path / "long.yaml")
    words = [sys.executable, "-m", "training", "train", str(recipe), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    try:
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "--resume" in stderr
    assert "Traceback" not in stderr
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] >= 4


def test_distilled_run_logs_the_kl_term(student: Path) -> None:
    curves = read_log(student)
    assert curves["loss/distill_kl"]
    assert all(value >= 0 for _, value in curves["loss/distill_kl"])


def test_a_distilled_run_tells_how_far_it_agrees_with_its_teacher(student: Path, teacher: Path) -> None:
    """Against the two networks' classes, pixel by pixel, as they are read back."""
    metrics = json.loads((student / "result.json").read_text())["metrics"]
    source = open_source(load_model(student)[0].data.val[0])
    frames = torch.from_numpy(np.stack([source[index].image for index in range(len(source))]))
    with torch.inference_mode():
        one, other = (DeployedNet(load_model(run)[1])(frames)[0] for run in (student, teacher))
    assert metrics["agreement/blocks"] == pytest.approx((one == other).float().mean().item(), abs=1e-3)
    assert metrics["teacher_kl/blocks"] >= 0
    assert "agreement/blocks" not in json.loads((teacher / "result.json").read_text())["metrics"]


def test_run_may_start_from_the_weights_of_another(
    folders: tuple[Path, Path], teacher: Path, tmp_path: Path
) -> None:
    still = OptimizerSpec(epochs=1, batch=4, lr=1e-12, weight_decay=0, precision="32")
    model = ModelSpec(pretrained=False, decoder=FpnSpec(width=16), init=teacher)
    recipe = tiny_recipe(*folders, model=model, optimizer=still)
    train(recipe, tmp_path / "run")
    before, after = (load_model(run)[1].head[2].weight for run in (teacher, tmp_path / "run"))
    torch.testing.assert_close(after, before, atol=1e-6, rtol=0)

    wider = model.model_copy(update={"decoder": FpnSpec(width=24)})
    save(tiny_recipe(*folders, model=wider), tmp_path / "wider.yaml")
    assert "model.init" in refusal("train", tmp_path / "wider.yaml", "--out", tmp_path / "other")


def test_exported_bundle_says_what_the_torch_student_says(bundle: Bundle, student: Path) -> None:
    _, model = load_model(student)
    source = open_source(load_model(student)[0].data.val[0])
    frames = np.stack([source[index].image for index in range(len(source))])
    with torch.inference_mode():
        mask, confidence = DeployedNet(model)(torch.from_numpy(frames))
    engine = open_engine(bundle, "onnxruntime", EngineSettings(max_batch=len(frames)))
    found = engine.infer(frames)
    assert (found["mask"] == mask.numpy()).mean() > 0.999
    assert np.abs(found["confidence"].astype(int) - confidence.numpy()).max() <= 1


def test_manifest_tells_where_the_bundle_comes_from(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest.name == "tiny_student"
    assert manifest.provenance.seed == 3
    assert manifest.provenance.teacher == "run"
    assert "train" in manifest.provenance.command
    miou = {m.data.split(", ")[-1]: m for m in manifest.metrics if m.name == "miou"}
    assert miou.keys() == {"fp32 in torch", *(f"fp32 on {engine}" for engine in available_engines())}
    assert all("export" in metric.command for metric in miou.values())
    beside = [metric for metric in manifest.metrics if metric.name == "miou/torch"]
    assert ["run tiny, 1 epochs" in beside[0].data, "run tiny, 2 epochs" in beside[1].data] == [True, True]
    assert beside[2].value == 0.5
    assert "teachers: one + other, all views" in beside[2].data


def test_reduced_precisions_are_written_and_scored_beside_fp32(student: Path, tmp_path: Path) -> None:
    done = training_command(
        "export", student, "--out", tmp_path / "b", "--fp16", "--fp8", "--int8", "--max-drop", 1
    )
    assert done.code == 0, done.err
    manifest = load_bundle(tmp_path / "b").manifest
    assert list(manifest.precisions) == ["fp32", "fp16", "fp8", "int8"]
    scored = {
        metric.data.split(", ")[-1]: metric.value for metric in manifest.metrics if metric.name == "miou"
    }
    assert {"fp32 on onnxruntime", "fp16 on onnxruntime", "int8 on onnxruntime"} <= set(scored)
    assert abs(scored["fp16 on onnxruntime"] - scored["fp32 on onnxruntime"]) < 0.01
    assert abs(scored["fp8 on openvino"] - scored["fp32 on onnxruntime"]) < 0.1
    assert abs(scored["int8 as TensorRT rounds it"] - scored["int8 on onnxruntime"]) < 0.1


def test_engines_that_say_something_else_stop_the_export(bundle: Bundle, student: Path) -> None:
    _, other = load_model(student)
    with torch.no_grad():
        for parameter in other.head[2].parameters():  # every class is taken for the next one
            parameter.copy_(parameter.roll(1, 0))
    frames = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3)).astype(np.uint8)
    with pytest.raises(TrainingError, match=r"parity: fp32 on \w+ agrees with torch on"):
        require_parity(list(measure_parity(DeployedNet(other), bundle, frames, forms_of(bundle)).values()))


def test_exporting_an_unfinished_run_says_how_to_train(tmp_path: Path, teacher: Path) -> None:
    (tmp_path / "recipe.yaml").write_bytes((teacher / "recipe.yaml").read_bytes())
    assert "train first" in refusal("export", tmp_path, "--out", tmp_path / "b")
    assert not (tmp_path / "b").exists()
