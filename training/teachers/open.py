"""From the `teacher:` section of a recipe to a frozen network."""

from __future__ import annotations

from pathlib import Path

from training.data.class_set import ClassSet
from training.data.class_sets import class_set as class_set_named
from training.teachers.base import Teacher
from training.teachers.cache.teacher import CachedTeacher
from training.teachers.class_mapping import Table, map_classes
from training.teachers.ensemble import AugmentedTeacher, Ensemble
from training.teachers.fingerprint import fingerprint
from training.teachers.huggingface.detection import DetectionTeacher
from training.teachers.huggingface.load import load_checkpoint
from training.teachers.huggingface.semantic import SemanticTeacher
from training.teachers.huggingface.universal import UniversalTeacher, semantic_task_tokens
from training.teachers.run import RunTeacher
from training.teachers.spec import MemberSpec, TeacherSpec, title


def open_teacher(spec: TeacherSpec, class_set: ClassSet, stride: int = 4) -> Teacher:
    """The teacher that a recipe asks for, frozen and in eval mode, speaking the student's classes.

    With `spec.cache` it is a `CachedTeacher`.

    Args:
        class_set: the student's.
        stride: pixels a cell of detection maps that are drawn from boxes: the student's.

    Raises:
        TrainingError: a run, checkpoint or class mapping that cannot be used as given.
    """
    if spec.ensemble is None:
        teacher = _open_member(spec, class_set, stride, "teacher")
    else:
        members = [
            _open_member(member, class_set, stride, f"teacher.ensemble.{index}")
            for index, member in enumerate(spec.ensemble)
        ]
        teacher = _augmented(Ensemble(members, [member.weight for member in spec.ensemble]), spec)
    teacher.requires_grad_(False).eval()
    if spec.cache is None:
        return teacher
    about = {
        "teacher": title(spec),
        "classes": class_set.names,
        "spec": spec.model_dump(mode="json", exclude={"cache"}, exclude_none=True),
    }
    limit = int(spec.cache.limit_gb * 1e9)
    return CachedTeacher(teacher, fingerprint(teacher, class_set.names), spec.cache.folder, limit, about)


def _open_member(spec: MemberSpec, class_set: ClassSet, stride: int, place: str) -> Teacher:
    """`place`: where the recipe has `spec`, for messages."""
    mapping = f"{place}.mapping"
    if spec.run is not None:
        return _augmented(_open_run(spec.run, class_set, spec.mapping, mapping), spec)
    return _augmented(_open_checkpoint(spec, class_set, stride, mapping), spec)


def _augmented(teacher: Teacher, spec: MemberSpec) -> Teacher:
    if spec.tta is None or (spec.tta.scales == (1.0,) and not spec.tta.flip):
        return teacher
    return AugmentedTeacher(teacher, spec.tta.scales, spec.tta.flip)


def _open_run(folder: Path, class_set: ClassSet, table: Table, place: str) -> RunTeacher:
    from training.run_folder import load_model

    recipe, model = load_model(folder)
    own = class_set_named(recipe.data.class_set)
    classes = things = None
    if model.head is not None:
        classes = map_classes(own.names, class_set, table, place)
    if model.detection_head is not None:
        names = [item.name for item in own.things]
        thing_table = {item.name: table[item.name] for item in class_set.things if item.name in table}
        things = map_classes(names, class_set, thing_table, place, things=True)
    return RunTeacher(model, classes, things, recipe.model.model_dump(mode="json"))


def _open_checkpoint(spec: MemberSpec, class_set: ClassSet, stride: int, place: str) -> Teacher:
    checkpoint = load_checkpoint(spec)
    detects = checkpoint.task == "detection"
    mapping = map_classes(checkpoint.names, class_set, spec.mapping, place, things=detects)
    if detects:
        return DetectionTeacher(checkpoint, mapping, spec.size, stride)
    if checkpoint.task == "semantic":
        return SemanticTeacher(checkpoint, mapping, spec.size)
    tokens = None
    config = checkpoint.model.config
    if config.model_type == "oneformer":
        tokens = semantic_task_tokens(spec, config.task_seq_len)
    return UniversalTeacher(checkpoint, mapping, spec.size, tokens)
