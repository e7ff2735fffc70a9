"""What a recipe's training begins with: its data, the student, and who teaches it."""

from __future__ import annotations

from dataclasses import dataclass

from training.data.module import SampleDataModule
from training.distillation.module import DistillationModule, start_model
from training.lesson import refuse_nothing_to_learn
from training.models.multi_task import MultiTaskNet
from training.recipe import Recipe
from training.teachers.base import Teacher
from training.teachers.cache.data_module import TaughtDataModule
from training.teachers.cache.recall import Recall
from training.teachers.cache.teacher import CachedTeacher
from training.teachers.open import open_teacher


@dataclass(frozen=True)
class Setting:
    """Data that is set up for training, the student at its start, and its teacher, or what recalls one."""

    recipe: Recipe
    data: SampleDataModule
    model: MultiTaskNet
    teacher: Teacher | Recall | None

    def module(self, steps: int, shards_teacher: bool = False) -> DistillationModule:
        """The losses of a training of so many steps."""
        return DistillationModule(
            self.recipe,
            self.data.class_set,
            self.model,
            self.data.class_frequencies(),
            steps,
            self.teacher,
            shards_teacher=shards_teacher,
        )


def open_setting(recipe: Recipe) -> Setting:
    """What a plain recipe names.

    Raises:
        TrainingError: data, start or teacher are unusable, or there is nothing to learn from.
    """
    refuse_nothing_to_learn(recipe)
    kind = TaughtDataModule if recipe.recalls_teacher else SampleDataModule
    data = kind(recipe.data, recipe.optimizer.batch, recipe.seed)
    data.setup("fit")
    model = start_model(recipe, data.class_set)
    teacher: Teacher | Recall | None = None
    if recipe.teacher is not None:
        teacher = open_teacher(recipe.teacher, data.class_set, model.box_stride)
        if isinstance(data, TaughtDataModule) and isinstance(teacher, CachedTeacher):
            teacher = data.learn_from(teacher, model.stride, model.box_stride)
    return Setting(recipe, data, model, teacher)
