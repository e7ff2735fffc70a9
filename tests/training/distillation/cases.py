"""Inputs of distillation losses, small enough to follow by hand, and every loss ready to be called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from training.distillation.inputs import DistillInputs
from training.distillation.losses.base import FeatureSpec, Site, Term
from training.distillation.losses.registry import TERMS
from training.models.outputs import DetectionMaps, Outputs

FRAMES, CLASSES, THINGS, CHANNELS, HEIGHT, WIDTH = 2, 4, 2, 5, 3, 4
VOID = 9
PATH = "neck"
# No random mask, and a teacher that is sure at some pixels only.
OPTIONS: dict[str, dict[str, Any]] = {"mgd": {"masked": 0.0}, "pseudo_labels": {"threshold": 0.3}}


def make_term(name: str, **options: Any) -> Term:
    """The loss `name` in double precision, its feature map at `PATH` on both sides, no adapter."""
    kind = TERMS[name]
    paths = {"student": PATH, "teacher": PATH} if issubclass(kind.Spec, FeatureSpec) else {}
    spec = kind.Spec(**{**OPTIONS.get(name, {}), **paths, **options})
    return kind(spec, Site(CLASSES, CHANNELS)).double()


def random_outputs(generator: torch.Generator) -> tuple[Outputs, Tensor]:
    """Outputs of a network and its feature map, float64."""

    def normal(channels: int) -> Tensor:
        return torch.randn(FRAMES, channels, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)

    detection = DetectionMaps(normal(THINGS), normal(4).exp(), 2)
    return Outputs(normal(CLASSES), detection), normal(CHANNELS)


def random_inputs(seed: int = 0) -> DistillInputs:
    """Student and teacher that differ; labels at twice their resolution with void and invalid cells."""
    generator = torch.Generator().manual_seed(seed)
    (student, mine), (teacher, theirs) = random_outputs(generator), random_outputs(generator)
    cells = torch.randint(0, CLASSES, (FRAMES, HEIGHT, WIDTH), generator=generator)
    cells[0, 0, 0] = VOID
    valid = torch.ones(FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
    valid[0, 2, 1:] = False
    valid[1, 0, 2] = False
    return DistillInputs(
        student,
        teacher,
        double_size(cells),
        double_size(valid),
        VOID,
        boxes=[
            torch.tensor([[1.0, 1.0, 5.0, 4.0]]),
            torch.tensor([[0.0, 0.0, 3.0, 3.0], [2.0, 2.0, 8.0, 6.0]]),
        ],
        has_boxes=torch.tensor([True, True]),
        student_features={PATH: mine},
        teacher_features={PATH: theirs},
    )


def double_size(cells: Tensor) -> Tensor:
    return cells.repeat_interleave(2, 1).repeat_interleave(2, 2)


def logit_inputs(student: Tensor, teacher: Tensor, **changes: Any) -> DistillInputs:
    """Inputs of which only the logits [N,C,h,w] matter: all pixels valid, none labelled."""
    shape = (len(student), *student.shape[-2:])
    target, valid = torch.full(shape, VOID), torch.ones(shape, dtype=torch.bool)
    return replace(DistillInputs(Outputs(student), Outputs(teacher), target, valid, VOID), **changes)


def feature_inputs(student: Tensor, teacher: Tensor, **changes: Any) -> DistillInputs:
    """Inputs of which only the feature maps [N,C,h,w] matter: all pixels valid, none labelled."""
    features = {"student_features": {PATH: student}, "teacher_features": {PATH: teacher}}
    return replace(logit_inputs(student, teacher), **{**features, **changes})


def student_tensors(inputs: DistillInputs) -> dict[str, Tensor]:
    """Every tensor of the student's by name."""
    assert inputs.student.logits is not None
    assert inputs.student.detection is not None
    detection = inputs.student.detection
    return {
        "logits": inputs.student.logits,
        "heatmap": detection.heatmap,
        "size": detection.size,
        "features": inputs.student_features[PATH],
    }


def with_student(inputs: DistillInputs, tensors: dict[str, Tensor]) -> DistillInputs:
    """`inputs` with the student's tensors of `student_tensors` replaced."""
    detection = DetectionMaps(tensors["heatmap"], tensors["size"], 2)
    outputs = Outputs(tensors["logits"], detection)
    return replace(inputs, student=outputs, student_features={PATH: tensors["features"]})


def used_tensor(term: Term) -> str:
    """The student's tensor that the loss looks at most."""
    if term.needs_features:
        return "features"
    if "detection" in term.tasks:
        return "size" if term.spec.name == "localization" else "heatmap"
    return "logits"
