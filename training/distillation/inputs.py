"""What a distillation loss may look at: one training step's answers, labels and feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from training.models.outputs import Outputs


@dataclass(frozen=True)
class DistillInputs:
    """One step. H and W are the input's height and width in pixels, N the batch.

    Attributes:
        student, teacher: their answers; losses detach the teacher's. The teacher's logits are
            log-probabilities, as `TeacherOutputs` has them.
        target: int64 [N,H,W] class ids, `void_id` where there is no label.
        valid: bool [N,H,W], pixels where the teacher's segmentation counts; unlabelled frames have some, too.
        seen: bool [N,H,W], pixels where its detections count, whatever it segments there; as `valid` if None.
        void_id: the id in `target` that means "no label".
        boxes: of each frame, float32 [K,4] x1,y1,x2,y2 in input pixels.
        has_boxes: bool [N], False where a frame's boxes are unknown; none are known if None.
        student_features, teacher_features: maps float [N,C,h,w] by dotted module path.
        known: bool [C], classes that the teacher's segmentation can say; all if None. It gives the others a
            log-probability that means 0, which is nothing to compare logits with.
        known_things: bool [T], the same of its detection.
        progress: share of the training that is done, 0..1.
    """

    student: Outputs
    teacher: Outputs
    target: Tensor
    valid: Tensor
    void_id: int
    boxes: Sequence[Tensor] = ()
    has_boxes: Tensor | None = None
    student_features: Mapping[str, Tensor] = field(default_factory=dict)
    teacher_features: Mapping[str, Tensor] = field(default_factory=dict)
    known: Tensor | None = None
    known_things: Tensor | None = None
    seen: Tensor | None = None
    progress: float = 0.0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the network's input in pixels."""
        return self.target.shape[-2], self.target.shape[-1]
