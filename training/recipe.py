"""The recipe: one YAML file that says everything about a training run.

Unknown keys are refused with the nearest right name; paths are relative to the working directory. A recipe
with `stages` (see training/stages.py) stands for one plain recipe a stage.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from distill_perception.strict import StrictModel, describe_validation_error
from training.data.spec import DataSpec
from training.distillation.spec import LossEntries, refuse_teacher_maps
from training.errors import TrainingError
from training.hardware import Precision
from training.models.spec import ModelSpec
from training.stages import StageSpec, plain_recipes
from training.teachers.spec import TeacherSpec

Spec = TypeVar("Spec", bound=StrictModel)


class LossSpec(StrictModel):
    """Losses on labels. Zero switches a term off."""

    cross_entropy: float = Field(1.0, ge=0, description="weight of cross-entropy on the masks")
    class_balance: float | None = Field(
        1.1, gt=1, description="c of ENet's class weights 1/ln(c + frequency); null for equal weights"
    )
    lovasz: float = Field(0.0, ge=0, description="weight of the Lovasz-softmax loss on the masks")
    detection: float = Field(1.0, ge=0, description="weight of the detection head's losses on the boxes")


class OptimizerSpec(StrictModel):
    """AdamW with warm-up and decay."""

    epochs: int = Field(20, ge=1, description="passes over the training frames")
    validate_every: int = Field(1, ge=1, description="epochs between validations; a divisor of `epochs`")
    batch: int = Field(8, ge=1, description="frames a forward pass, of all processes together")
    accumulate: int = Field(1, ge=1, description="passes whose gradients are summed up before each step")
    lr: float = Field(1e-3, gt=0, description="highest learning rate, after the warm-up")
    weight_decay: float = Field(1e-2, ge=0, description="of all but norms and biases")
    warmup_steps: int = Field(50, ge=0, description="steps in which the learning rate rises from 0")
    schedule: Literal["poly", "cosine"] = Field("poly", description="how the learning rate falls to 0")
    power: float = Field(0.9, gt=0, description="of the polynomial decay, (1 - step/steps)^power")
    ema: float = Field(
        0.98, ge=0, lt=1, description="decay of the averaged weights that are evaluated; 0 is off"
    )
    precision: Precision = Field(
        "auto",
        description="auto: bf16 where the processor has it; else fp16 on GPUs and 32 on CPUs",
    )

    @model_validator(mode="after")
    def _last_epoch_is_validated(self) -> OptimizerSpec:
        if self.epochs % self.validate_every:
            raise ValueError(
                f"validate_every: {self.validate_every} does not divide the {self.epochs} epochs, "
                "and the last one would not be scored"
            )
        return self


class Recipe(StrictModel):
    """A whole experiment."""

    name: str = Field(description="of the run, also in manifests and tables")
    seed: int = Field(0, description="of weights that start at random, order of frames and augmentation")
    model: ModelSpec = ModelSpec()
    data: DataSpec
    teacher: TeacherSpec | None = None
    loss: LossSpec = LossSpec()
    distillation: LossEntries = Field([], description="losses that compare student and teacher")
    optimizer: OptimizerSpec = OptimizerSpec()
    stages: list[StageSpec] = Field([], description="trained one after the other, each as it differs")

    @model_validator(mode="after")
    def _someone_teaches(self) -> Recipe:
        if self.stages:
            self.plain_stages(Path("run"))
            return self
        if self.distillation and self.teacher is None:
            raise ValueError("distillation lists losses, but there is no teacher section")
        if self.recalls_teacher:
            refuse_teacher_maps(self.distillation)
        return self

    @property
    def recalls_teacher(self) -> bool:
        """Whether the losses get the teacher's answers from its cache."""
        return bool(self.distillation) and self.teacher is not None and self.teacher.cache is not None

    def plain_stages(self, folder: Path) -> list[tuple[str, Recipe]]:
        """Each stage's name and recipe, for a run in `folder`; none without stages.

        Raises:
            ValueError: a stage changes something that is not there or does not fit.
        """
        found = []
        for name, values in plain_recipes(self.model_dump(mode="json"), self.stages, folder):
            try:
                found.append((name, Recipe.model_validate(values)))
            except ValidationError as error:
                raise ValueError(f"stage '{name}': {describe_validation_error(error)}") from error
        return found


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        TrainingError: file missing, not UTF-8, not YAML, or a key or value that is not known, named with its
            place.
    """
    return read_spec(path, Recipe)


def read_spec(path: Path, kind: type[Spec]) -> Spec:
    """Read and check a YAML file; raises as `load_recipe`."""
    try:
        return kind.model_validate(read_yaml(path))
    except ValidationError as error:
        raise TrainingError(f"recipe {path}: {describe_validation_error(error)}") from error


def read_yaml(path: Path) -> Any:
    """What a YAML file says.

    Raises:
        TrainingError: file missing, not UTF-8 or not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"cannot read recipe {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"recipe {path} is not UTF-8 text ({error}): save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise TrainingError(f"recipe {path} is not YAML: {error}") from error
