"""Shipped students in INT8 and FP16 against the same in FP32, on rendered streets, engine by engine."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from distill_perception.bundle import load_bundle
from distill_perception.engines import EngineSettings, available_engines, open_engine
from training.data.synthetic import VOID, DriveSettings, render_drive

BUNDLES = sorted(path.parent for path in Path(__file__).parents[2].joinpath("models").glob("*/manifest.yaml"))
AGREEMENT = {"int8": 0.97, "fp16": 0.999}


@pytest.fixture(scope="module")
def street() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """RGB frames and labels of four streets in different weather."""
    settings = DriveSettings(frames=4, scenes=4, seed=11, width=480, height=360)
    return [(frame.image[..., ::-1], frame.mask) for frame in render_drive(settings)]


@pytest.mark.parametrize("engine_name", available_engines())
@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_it_sees_what_fp32_sees(
    path: Path, engine_name: str, street: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]
) -> None:
    bundle = load_bundle(path)
    masks, right = {}, {}
    for precision in ("fp32", *AGREEMENT):
        engine = open_engine(bundle, engine_name, EngineSettings(precision))
        masks[precision] = np.stack([engine.infer(image[None])["mask"][0].copy() for image, _ in street])
        engine.close()
        seen = zip(masks[precision], (label for _, label in street), strict=True)
        right[precision] = np.mean([(mask == label)[label != VOID].mean() for mask, label in seen])
    assert right["fp32"] > 0.8
    for precision, least in AGREEMENT.items():
        assert (masks[precision] == masks["fp32"]).mean() > least
        assert abs(right[precision] - right["fp32"]) < 0.01
