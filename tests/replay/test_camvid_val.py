"""The shipped student on the real validation drive, through the real node, against the bare graph."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from distill_perception.bundle import load_bundle
from tests.replay.conftest import command

pytestmark = pytest.mark.slow
BUNDLE = Path(__file__).parents[2] / "models" / "camvid_lite0"
VOID, CLASSES = 11, 11
FLOOR = 0.66


@pytest.fixture(scope="module", params=["fp32", "int8"])
def precision(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def offline_miou(camvid_val: Path, precision: str) -> float:
    """mIoU of the ONNX file on the folder: no code of ours between file and score."""
    session = onnxruntime.InferenceSession(str(load_bundle(BUNDLE).model_path(precision)))
    iou = MulticlassJaccardIndex(CLASSES, ignore_index=VOID)
    for path in sorted((camvid_val / "images").iterdir()):
        frame = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        label = cv2.imread(str(camvid_val / "labels" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        (mask,) = session.run(["mask"], {"images": frame[None]})
        iou.update(torch.from_numpy(mask[0].astype(np.int64)), torch.from_numpy(label.astype(np.int64)))
    return float(iou.compute())


def test_shipped_student_clears_the_floor(offline_miou: float) -> None:
    assert offline_miou >= FLOOR


def test_manifest_says_the_miou_that_the_graph_has(offline_miou: float, precision: str) -> None:
    metrics = [m for m in load_bundle(BUNDLE).manifest.metrics if m.name == "miou"]
    (claimed,) = [m.value for m in metrics if re.fullmatch(f"camvid.*{precision} on onnxruntime", m.data)]
    assert claimed == pytest.approx(offline_miou, abs=1e-3)


def test_replay_through_the_node_scores_what_the_graph_scores(
    camvid_val: Path, offline_miou: float, precision: str, tmp_path: Path
) -> None:
    made = command("bag", camvid_val, tmp_path / "drive", "--rate", "15", "--bundle", BUNDLE)
    assert made.code == 0, made.err
    words = (
        "replay",
        tmp_path / "drive",
        "--bundle",
        BUNDLE,
        "--out",
        tmp_path / "out",
        "--precision",
        precision,
    )
    played = command(*words, "--as-fast-as-possible", timeout=200)
    assert played.code == 0, played.err
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["frames"] == 101
    assert metrics["dropped"] == 0
    assert metrics["miou"] == pytest.approx(offline_miou, abs=1e-3)
