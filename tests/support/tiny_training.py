"""A labelled folder and a recipe small enough to train on in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import yaml

from tests.support.tiny_nets import BOTH, tiny_net
from training.compression.fake_quant import add_fake_quant
from training.data.class_sets import CAMVID, CLASS_SETS
from training.data.source_spec import FolderSpec
from training.data.spec import AugmentSpec, DataSpec
from training.models.multi_task import MultiTaskNet
from training.models.spec import FpnSpec, ModelSpec
from training.recipe import OptimizerSpec, Recipe
from training.run_folder import write_untrained

SIZE = (64, 96)


def write_color_blocks(folder: Path, frames: int, seed: int = 0, boxes: bool = False) -> Path:
    """Frames of four coloured blocks; a block's colour is its class's display colour, so it can be learnt.

    Args:
        boxes: also write a box around each block whose class is a thing.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    colors = np.array([item.color for item in CAMVID], np.uint8)
    images, found = [], []
    for index in range(frames):
        blocks = rng.integers(0, len(CAMVID), (2, 2)).astype(np.uint8)
        mask = blocks.repeat(SIZE[0] // 2, 0).repeat(SIZE[1] // 2, 1)
        cv2.imwrite(str(folder / "images" / f"{index:03d}.png"), colors[mask][..., ::-1])
        cv2.imwrite(str(folder / "labels" / f"{index:03d}.png"), mask)
        images.append({"id": index, "file_name": f"{index:03d}.png", "height": SIZE[0], "width": SIZE[1]})
        height, width = SIZE[0] // 2, SIZE[1] // 2
        found += [
            {"image_id": index, "category_id": int(label), "bbox": [x * width, y * height, width, height]}
            for (y, x), label in np.ndenumerate(blocks)
            if CAMVID[label].kind == "thing"
        ]
    if boxes:
        names = [{"id": item.id, "name": item.name} for item in CAMVID if item.kind == "thing"]
        content = {
            "images": images,
            "categories": names,
            "annotations": [{"id": i, **box} for i, box in enumerate(found)],
        }
        (folder / "boxes.json").write_text(json.dumps(content))
    return folder


def own_classes(path: Path) -> Path:
    """A class-set file: CamVid's classes, of which the sky has another name."""
    content = CLASS_SETS["camvid"].as_file()
    content["classes"][0]["name"] = "heaven"
    path.write_text(yaml.safe_dump(content))
    return path


def untrained_run(
    folder: Path,
    net: MultiTaskNet | None = None,
    qat: str | None = None,
    float_layers: tuple[str, ...] = (),
) -> Path:
    """A finished run of a tiny network of both tasks, by default with random weights; 2 frames to look at.

    Args:
        net: its network, as `tiny_net` makes it. qat: form of INT8 that it simulates. float_layers: layers
            without.
    """
    frames = write_color_blocks(folder / "val", frames=2, boxes=True)
    spec = ModelSpec(
        pretrained=False,
        tasks=BOTH,
        width_multiplier=0.25,
        decoder=FpnSpec(width=16),
        qat=qat,
        qat_float_layers=float_layers,
    )
    net = net or tiny_net()
    if qat is not None:
        add_fake_quant(net, qat == "symmetric", float_layers)
    write_untrained(folder / "run", tiny_recipe(frames, frames, model=spec), net, None)
    return folder / "run"


def tiny_recipe(train: Path, val: Path, epochs: int = 2, **changes: object) -> Recipe:
    """An untrained Lite0 on colour blocks."""
    values: dict[str, object] = {
        "name": "tiny",
        "seed": 3,
        "model": ModelSpec(pretrained=False, decoder=FpnSpec(width=16)),
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
