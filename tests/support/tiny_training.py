"""A labelled folder and a recipe small enough to train on in seconds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from training.data.class_sets import CAMVID
from training.data.source_spec import FolderSpec
from training.data.spec import AugmentSpec, DataSpec
from training.models.spec import ModelSpec
from training.recipe import OptimizerSpec, Recipe

SIZE = (64, 96)


def write_color_blocks(folder: Path, frames: int, seed: int = 0) -> Path:
    """Frames of four coloured blocks; a block's colour is its class's display colour, so it can be learnt."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    colors = np.array([item.color for item in CAMVID], np.uint8)
    for index in range(frames):
        blocks = rng.integers(0, len(CAMVID), (2, 2)).astype(np.uint8)
        mask = blocks.repeat(SIZE[0] // 2, 0).repeat(SIZE[1] // 2, 1)
        cv2.imwrite(str(folder / "images" / f"{index:03d}.png"), colors[mask][..., ::-1])
        cv2.imwrite(str(folder / "labels" / f"{index:03d}.png"), mask)
    return folder


def tiny_recipe(train: Path, val: Path, epochs: int = 2, **changes: object) -> Recipe:
    """An untrained Lite0 on colour blocks."""
    values: dict[str, object] = {
        "name": "tiny",
        "seed": 3,
        "model": ModelSpec(pretrained=False, decoder_width=16),
        "data": DataSpec(
            train=[FolderSpec(name="blocks", path=train)],
            val=[FolderSpec(name="blocks", path=val)],
            size=SIZE,
            augment=AugmentSpec(crop=(64, 64)),
            workers=0,
        ),
        "optimizer": OptimizerSpec(epochs=epochs, batch=4, warmup_steps=1, precision="32"),
    }
    return Recipe.model_validate({**values, **changes})
