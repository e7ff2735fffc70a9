"""The README's path from a Hugging Face teacher and an unlabelled bag to a replayed student."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from distill_perception.bundle import load_bundle
from training.curves import read_log

pytestmark = pytest.mark.slow
RECIPE = Path(__file__).parents[2] / "training" / "recipes" / "your_own.yaml"
FRAMES = 12
SIZE = (96, 128)  # height, width


def command(*words: object, module: str = "training") -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for noise in ("torchvision is not installed", "LeafSpec", "litlogger"):
        assert noise not in done.stdout + done.stderr, "the terminal is for progress and problems"


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered drive as a bag without labels: what a car records."""
    root = tmp_path_factory.mktemp("drive")
    words = ("--out", root / "folder", "--frames", FRAMES, "--size", f"{SIZE[1]}x{SIZE[0]}")
    command("synthetic", *words)
    pictures = root / "pictures"
    pictures.mkdir()
    (root / "folder" / "images").rename(pictures / "images")
    command("bag", pictures, root / "bag", module="distill_perception.cli")
    return root / "bag"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random SegFormer with Cityscapes' classes, as `save_pretrained` leaves it."""
    pytest.importorskip("transformers", reason="the training extra is not installed")
    from tests.training.teachers.tiny_checkpoints import CITYSCAPES, segformer

    return segformer(tmp_path_factory.mktemp("teachers") / "tiny_segformer", CITYSCAPES)


def test_bag_and_teacher_become_a_student_that_replays_the_bag(
    drive: Path, checkpoint: Path, tmp_path: Path
) -> None:
    recipe = yaml.safe_load(RECIPE.read_text())
    recipe["data"] |= {"size": list(SIZE), "augment": {"crop": [64, 96]}, "workers": 0}
    for source in (*recipe["data"]["train"], *recipe["data"]["val"]):
        source |= {"path": str(drive), "every": 1}
    recipe["teacher"]["huggingface"] = str(checkpoint)
    recipe["model"] = {"pretrained": False, "decoder": {"name": "fpn", "width": 16}}
    recipe["optimizer"] = {"epochs": 6, "batch": 4, "precision": "32", "warmup_steps": 1, "lr": 3e-3}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe))

    command("train", tmp_path / "mine.yaml", "--out", tmp_path / "run")
    loss = [value for _, value in read_log(tmp_path / "run")["loss/distill_kl"]]
    assert loss[-1] < 0.7 * loss[0]

    command("export", tmp_path / "run", "--out", tmp_path / "mine", "--int8")
    manifest = load_bundle(tmp_path / "mine").manifest
    assert "tiny_segformer" in manifest.provenance.teacher
    assert manifest.tasks == ("segmentation",)
    judged = {metric.data for metric in manifest.metrics if metric.name == "miou"}
    assert any(data.endswith("fp32's answers as labels, int8 on onnxruntime") for data in judged)

    words = ("replay", drive, "--bundle", tmp_path / "mine", "--out", tmp_path / "out")
    command(*words, "--as-fast-as-possible", module="distill_perception.cli")
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["frames"] == FRAMES
    assert metrics["dropped"] == 0
