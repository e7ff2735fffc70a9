"""What every distillation loss is: a recipe entry (`TermSpec`) and a module (`Term`) made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from distill_perception.strict import StrictModel
from training.distillation.adapters import Adapter, to_common_size
from training.distillation.inputs import DistillInputs
from training.distillation.maps import class_log_probs, full_precision, nearest, without_unknown
from training.distillation.schedule import Schedule, Weight
from training.errors import TrainingError

LOGITS = "logits"  # in place of a module path: the segmentation logits


class TermSpec(StrictModel):
    """What all entries of `distillation:` have in common."""

    name: str
    weight: Weight = Field(
        Schedule.constant(1.0), description="factor in the sum; a number or {start, end, shape, window}"
    )


class FeatureSpec(TermSpec):
    """An entry that compares feature maps."""

    student: str = Field(description="student's module, a dotted path such as `decoder`, or `logits`")
    teacher: str = Field(description="teacher's module, a dotted path, or `logits`")


@dataclass(frozen=True)
class Site:
    """What a dry run tells a term about the networks it is to work on.

    Attributes:
        classes: number of segmentation classes.
        channels: channels of the teacher's feature map; 0 for terms without one.
        adapter: brings the student's feature map to as many channels; None if it has them.
    """

    classes: int
    channels: int = 0
    adapter: Adapter | None = None


class Term(nn.Module):
    """A distillation loss: `forward(DistillInputs) -> scalar`, 0 where nothing in the batch is valid.

    Attributes:
        Spec: its entry in a recipe.
        tasks: fields of `Outputs` that student and teacher must fill.
        needs_features: whether it compares feature maps (then `Spec` is a `FeatureSpec`).
        matches_channels: whether it needs both maps with equally many channels.
    """

    Spec: ClassVar[type[TermSpec]]
    tasks: ClassVar[tuple[str, ...]] = ("logits",)
    needs_features: ClassVar[bool] = False
    matches_channels: ClassVar[bool] = False

    def __init__(self, spec: TermSpec, site: Site) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, inputs: DistillInputs) -> Tensor:
        """The loss of one step."""
        raise NotImplementedError


class FeatureTerm(Term):
    """A loss on a pair of feature maps."""

    tasks = ()
    needs_features = True
    matches_channels = True

    def __init__(self, spec: FeatureSpec, site: Site) -> None:
        super().__init__(spec, site)
        self.paths = (spec.student, spec.teacher)
        self.adapter = site.adapter

    def maps(self, inputs: DistillInputs, adapt: bool = True) -> tuple[Tensor, Tensor, Tensor]:
        """Student and (detached) teacher maps float [N,C,h,w] at the coarser of their sizes, valid [N,h,w].

        The student's goes through the adapter only with `adapt`. Of logits on both sides both become
        log-probabilities among the classes that the teacher knows, the others 0: a teacher's logits are
        log-probabilities anyway (`TeacherOutputs`), and raw ones differ from them by an offset that varies
        over the picture, which a softmax over classes does not see but feature losses do. Normalized after
        resizing, they are the same whatever that offset was before.

        Raises:
            TrainingError: a map was not captured in this step.
        """
        student = _find(self.paths[0], inputs.student_features, inputs.student.logits, "student")
        teacher = _find(self.paths[1], inputs.teacher_features, inputs.teacher.logits, "teacher")
        student, teacher = to_common_size(
            full_precision(student), full_precision(teacher.detach()), inputs.size
        )
        if adapt and self.adapter is not None:
            student = self.adapter(student)
        if self.paths[1] == LOGITS:
            teacher = class_log_probs(teacher, inputs.known)
            if self.paths[0] == LOGITS:
                student = class_log_probs(student, inputs.known)
            elif adapt and self.matches_channels:  # its channels are classes, too
                student = without_unknown(student, inputs.known)
        return student, teacher, nearest(inputs.valid, (student.shape[-2], student.shape[-1]))


def _find(path: str, features: Mapping[str, Tensor], logits: Tensor | None, whose: str) -> Tensor:
    found = logits if path == LOGITS else features.get(path)
    if found is None:
        raise TrainingError(
            f"the {whose}'s map {path} is missing in this step: feature losses need the {whose} itself "
            "to run, cached outputs do not hold its maps"
        )
    return found
