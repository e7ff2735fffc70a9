"""The shipped student in INT8 against the same student in FP32, on rendered streets, engine by engine."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from distill_perception.bundle import load_bundle
from distill_perception.engines import EngineSettings, available_engines, open_engine
from training.data.synthetic import VOID, DriveSettings, render_drive

BUNDLE = Path(__file__).parents[2] / "models" / "camvid_lite0"


@pytest.fixture(scope="module")
def street() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """RGB frames and labels of four streets in different weather."""
    settings = DriveSettings(frames=4, scenes=4, seed=11, width=480, height=360)
    return [(frame.image[..., ::-1], frame.mask) for frame in render_drive(settings)]


@pytest.mark.parametrize("engine_name", available_engines())
def test_int8_sees_what_fp32_sees(
    engine_name: str, street: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]
) -> None:
    agree, right = [], {"fp32": 0.0, "int8": 0.0}
    engines = {p: open_engine(load_bundle(BUNDLE), engine_name, EngineSettings(p)) for p in right}
    for image, label in street:
        masks = {p: engine.infer(image[None])["mask"][0].copy() for p, engine in engines.items()}
        agree.append((masks["fp32"] == masks["int8"]).mean())
        for precision, mask in masks.items():
            right[precision] += (mask == label)[label != VOID].mean() / len(street)
    assert np.mean(agree) > 0.97
    assert right["fp32"] > 0.8
    assert abs(right["int8"] - right["fp32"]) < 0.01
