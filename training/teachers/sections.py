"""What the teachers' commands need of a recipe: its `teacher` and `data` sections."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError

from distill_perception.strict import describe_validation_error, did_you_mean
from training.data.class_set import ClassSet
from training.data.class_sets import class_set
from training.data.module import prepare_source
from training.data.source_spec import FORMATS, frames_at
from training.data.sources import Source, open_source
from training.data.sources.base import Mixture
from training.data.spec import DataSpec
from training.errors import TrainingError
from training.models.multi_task import MultiTaskNet
from training.models.spec import ModelSpec
from training.recipe import read_yaml
from training.teachers.base import Teacher
from training.teachers.cache.teacher import CachedTeacher
from training.teachers.open import open_teacher
from training.teachers.spec import TeacherSpec, title


@dataclass(frozen=True)
class Sections:
    """Sections of a recipe. `data` is None where the recipe has none; its classes are CamVid's then."""

    place: Path
    teacher: TeacherSpec
    data: DataSpec | None
    model: ModelSpec

    def about(self) -> dict[str, Any]:
        """For provenance files."""
        spec = self.teacher.model_dump(mode="json", exclude={"cache"}, exclude_none=True)
        return {"teacher": title(self.teacher), "teacher_spec": spec}


def read_sections(recipe: Path) -> Sections:
    """Read the sections, of an ablation those of its recipe; the rest is not looked at.

    Raises:
        TrainingError: file missing, not UTF-8, not YAML, no teacher in it, or a key or value that is not
            known.
    """
    raw = read_yaml(recipe)
    if isinstance(raw, dict) and isinstance(raw.get("recipe"), dict):
        raw = raw["recipe"]
    if not isinstance(raw, dict) or raw.get("teacher") is None:
        raise TrainingError(f"recipe {recipe} has no teacher section")
    data = None if raw.get("data") is None else _section(DataSpec, raw, "data", recipe)
    model = ModelSpec() if raw.get("model") is None else _section(ModelSpec, raw, "model", recipe)
    return Sections(recipe, _section(TeacherSpec, raw, "teacher", recipe), data, model)


def _section(kind: type[BaseModel], raw: dict[str, Any], name: str, place: Path) -> Any:
    try:
        return kind.model_validate(raw[name])
    except ValidationError as error:
        raise TrainingError(f"recipe {place}: {name}: {describe_validation_error(error)}") from error


def student_classes(sections: Sections) -> ClassSet:
    """The class set that the teacher is to speak."""
    return class_set("camvid" if sections.data is None else sections.data.class_set)


def box_stride(sections: Sections) -> int:
    """Pixels a cell of the student's detection maps, on which its teacher's boxes are drawn."""
    classes = student_classes(sections)
    things = [classes.id_of(item.name) for item in classes.things]
    blank = sections.model.model_copy(update={"pretrained": False})
    return MultiTaskNet(blank, len(classes), things).box_stride


def open_plain_teacher(sections: Sections) -> Teacher:
    """The recipe's teacher without its cache, on the GPU if there is one."""
    spec = sections.teacher.model_copy(update={"cache": None})
    return open_teacher(spec, student_classes(sections), box_stride(sections)).to(_device())


def open_cached_teacher(sections: Sections) -> CachedTeacher:
    """The recipe's teacher with its cache, on the GPU if there is one.

    Raises:
        TrainingError: the recipe names no cache.
    """
    classes = student_classes(sections)
    teacher = open_teacher(sections.teacher, classes, box_stride(sections)).to(_device())
    if not isinstance(teacher, CachedTeacher):
        raise TrainingError(f"recipe {sections.place}: teacher.cache is missing: name a folder there")
    return teacher


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def recipe_data(sections: Sections) -> DataSpec:
    """The recipe's data section.

    Raises:
        TrainingError: there is none.
    """
    if sections.data is None:
        raise TrainingError(
            f"recipe {sections.place} has no data section: which frames shall be asked about?"
        )
    return sections.data


def training_frames(sections: Sections) -> Source:
    """Every training frame once, at the recipe's size and before augmentation, as the data module has them.

    Raises:
        TrainingError: the recipe has no data section, or a source is unusable.
    """
    data = recipe_data(sections)
    sources: list[Source] = [prepare_source(item, data, student_classes(sections)) for item in data.train]
    return Mixture(sources, [1] * len(sources))


def frames_to_label(path: Path, format_: str | None = None) -> Source:
    """Frames at their own size, of a bag or a folder of pictures, or of a format that the data room reads.

    Raises:
        TrainingError: an unknown format, one that needs more than a path, or nothing readable there.
    """
    if format_ is None:
        return open_source(frames_at(path))
    if format_ not in FORMATS:
        raise TrainingError(f"unknown format '{format_}' ({did_you_mean(format_, FORMATS)})")
    try:
        spec = FORMATS[format_].model_validate({"name": "frames", "path": path, "format": format_})
    except ValidationError as error:
        raise TrainingError(f"format {format_}: {describe_validation_error(error)}") from error
    return open_source(spec)
