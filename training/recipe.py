"""The recipe: one YAML file that says everything about a training run.

Unknown keys are refused with the nearest right name; paths are relative to the working directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from distill_perception.strict import StrictModel, describe_validation_error
from training.errors import TrainingError


class ModelSpec(StrictModel):
    """The network."""

    encoder: str = Field(
        "efficientnet_lite0", description="encoder name, see training/models/efficientnet_lite.py"
    )
    pretrained: bool = Field(True, description="start the encoder from ImageNet weights")
    init: Path | None = Field(None, description="start the whole network from this finished run's weights")
    decoder_width: int = Field(96, ge=8, description="channels of the decoder")
    decoder_dense: bool = Field(False, description="full 3x3 convolutions but at the finest level")
    decoder_detail: int = Field(0, ge=0, description="channels of a further level at stride 2; 0 for none")
    dropout: float = Field(0.1, ge=0, lt=1, description="channel dropout before the classifier")


class SourceSpec(StrictModel):
    """One folder of images and labels; see training/data/labelled_folder.py for its layout."""

    name: str = Field(description="short name, used in metrics: miou/<name>")
    path: Path
    repeat: int = Field(1, ge=1, description="how many times an epoch sees this folder")


class DataSpec(StrictModel):
    """Where frames come from and how they are augmented."""

    train: list[SourceSpec] = Field(min_length=1)
    val: list[SourceSpec] = Field(
        min_length=1, description="the first is the one whose mIoU the run is known by"
    )
    size: tuple[int, int] = Field(
        (360, 480), description="height, width that every frame is brought to first"
    )
    crop: tuple[int, int] = Field((320, 416), description="training crop: height, width in pixels")
    scale: tuple[float, float] = Field((0.5, 2.0), description="random resize before the crop")
    workers: int = Field(1, ge=0)


class TeacherSpec(StrictModel):
    """The network to learn from: the run folder of an earlier training."""

    run: Path


class LossSpec(StrictModel):
    """Weights of the loss terms. Zero switches a term off."""

    cross_entropy: float = Field(1.0, ge=0, description="weight of cross-entropy on the labels")
    class_balance: float | None = Field(
        1.1, gt=1, description="c of ENet's class weights 1/ln(c + frequency); null for equal weights"
    )
    lovasz: float = Field(0.0, ge=0, description="weight of the Lovasz-softmax loss on the labels")
    kl: float = Field(0.0, ge=0, description="weight of the KL divergence to the teacher, scaled by T^2")
    temperature: float = Field(2.0, gt=0, description="T, softens teacher and student alike")


class OptimizerSpec(StrictModel):
    """AdamW with warm-up and polynomial decay."""

    epochs: int = Field(20, ge=1)
    batch: int = Field(8, ge=1)
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    warmup_steps: int = Field(50, ge=0)
    power: float = Field(0.9, gt=0, description="of the polynomial decay, (1 - step/steps)^power")
    ema: float = Field(
        0.98, ge=0, lt=1, description="decay of the averaged weights that are evaluated; 0 is off"
    )
    precision: Literal["32", "bf16"] = "bf16"


class Recipe(StrictModel):
    """A whole experiment."""

    name: str
    seed: int = 0
    model: ModelSpec = ModelSpec()
    data: DataSpec
    teacher: TeacherSpec | None = None
    loss: LossSpec = LossSpec()
    optimizer: OptimizerSpec = OptimizerSpec()


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        TrainingError: file missing, not YAML, or a key or value that is not known, named with its place.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise TrainingError(f"cannot read recipe {path}: {error.strerror}") from error
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TrainingError(f"recipe {path} is not YAML: {error}") from error
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        raise TrainingError(f"recipe {path}: {describe_validation_error(error)}") from error
    if recipe.loss.kl > 0 and recipe.teacher is None:
        raise TrainingError(f"recipe {path}: loss.kl is {recipe.loss.kl} but there is no teacher section")
    return recipe
