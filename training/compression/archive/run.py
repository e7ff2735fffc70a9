"""Packs a run folder into an archive, and an archive into a run folder that loads like any other."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from distill_perception.terminal import warn
from training.compression.archive.file import read_archive, read_tensors, replaces_archive, write_archive
from training.compression.archive.tensors import SharedTensor
from training.data.class_sets import class_set, is_elsewhere
from training.errors import TrainingError
from training.models.shapes import read_shapes
from training.recipe import Recipe
from training.run_folder import build_model, load_model, write_untrained

CLASSES = "classes.json"
DTYPES = {torch.float32: "<f4", torch.int64: "<i8"}


@dataclass(frozen=True)
class Packed:
    """Bytes of the archive, and of the same network's values as FP32."""

    archive_bytes: int
    float_bytes: int

    @property
    def ratio(self) -> float:
        """How many times smaller the archive is."""
        return self.float_bytes / self.archive_bytes


def pack(run: Path, path: Path, bits: int) -> Packed:
    """Write the network of `run` with at most 2^bits different weights in each convolution, and zeros.

    Raises:
        TrainingError: `run` is not finished, something else than an archive is at `path`, or it cannot be
            written.
    """
    if replaces_archive(path):
        warn(f"replaces the archive {path}")
    recipe, model = load_model(run)
    convolutions = {f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)}
    state = {name: value.contiguous().numpy() for name, value in model.state_dict().items()}
    shared = {name: SharedTensor.of(state[name], bits) for name in state if name in convolutions}
    shapes = read_shapes(run)
    classes = class_set(recipe.data.class_set).as_file()
    header = {"recipe": recipe.model_dump(mode="json"), "shapes": shapes, "class_set": classes}
    write_archive(path, state, shared, header)
    floats = sum(value.size * 4 for value in state.values() if value.dtype.kind == "f")
    return Packed(path.stat().st_size, floats)


def unpack(path: Path, run: Path) -> None:
    """Write the run folder `run` with the archive's network, and a class-set file that is not at hand.

    Raises:
        TrainingError: not an archive, damaged, or `run` exists.
    """
    if run.exists():
        raise TrainingError(f"{run} exists: choose another folder for the unpacked run")
    header, payload = read_archive(path)
    try:
        recipe = _with_class_set(Recipe.model_validate(header["recipe"]), header, run)
        spec = recipe.model.model_copy(update={"pretrained": False})
        with torch.device("meta"):  # names and shapes without memory, however large the header's network is
            model = build_model(spec, class_set(recipe.data.class_set), header["shapes"])
        kinds = {name: (tuple(v.shape), DTYPES[v.dtype]) for name, v in model.state_dict().items()}
        tensors = read_tensors(header, payload, kinds)
    except Exception as error:  # what a made-up recipe, shapes or lengths may raise shares no base class
        shutil.rmtree(run, ignore_errors=True)
        raise TrainingError(f"{path} does not hold the network that its header names: {error}") from error
    model.load_state_dict({name: torch.from_numpy(v) for name, v in tensors.items()}, assign=True)
    write_untrained(run, recipe, model, header["shapes"])


def _with_class_set(recipe: Recipe, header: dict[str, Any], run: Path) -> Recipe:
    """The recipe with classes that can be read: a file that it names may be on another machine."""
    if "class_set" not in header or not is_elsewhere(recipe.data.class_set):
        return recipe
    run.mkdir(parents=True)
    (run / CLASSES).write_text(json.dumps(header["class_set"], indent=2) + "\n")
    data = recipe.data.model_copy(update={"class_set": str(run / CLASSES)})
    return recipe.model_copy(update={"data": data})
