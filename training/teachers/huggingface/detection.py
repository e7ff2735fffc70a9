"""DETR, Deformable DETR, RT-DETR, RT-DETRv2, D-FINE, YOLOS: a set of boxes with class logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.errors import TrainingError
from training.teachers.base import ScoredBoxes, Teacher, TeacherOutputs
from training.teachers.class_mapping import ClassMapping
from training.teachers.detection_maps import clip, render_boxes
from training.teachers.huggingface.load import Checkpoint
from training.teachers.huggingface.preprocess import Preprocess, SizeRule

# Boxes below this score in every class are dropped: 0.01 is what COCO's mAP still looks at.
SCORE_FLOOR = 0.01
MAX_BOXES = 100


def query_boxes(
    logits: Tensor, boxes: Tensor, mapping: ClassMapping, classes: int, height: int, width: int
) -> list[ScoredBoxes]:
    """Boxes of each frame in the student's thing classes, best first.

    One more logit than `classes` is "no object" and means a softmax over all (DETR, Carion et al. 2020);
    otherwise each class has its sigmoid (Deformable DETR, RT-DETR, D-FINE).

    Args:
        logits: float [N,Q,classes] or [N,Q,classes+1].
        boxes: float [N,Q,4], centre x, centre y, width, height as shares of the frame.
    """
    exclusive = logits.shape[-1] == classes + 1
    said = logits.float().softmax(-1)[..., :-1] if exclusive else logits.float().sigmoid()
    scores = mapping.scores(said, exclusive)
    centre, half = boxes.float()[..., :2], boxes.float()[..., 2:] / 2
    scale = boxes.new_tensor([width, height, width, height], dtype=torch.float32)
    corners = torch.cat([centre - half, centre + half], -1) * scale
    found = []
    for frame_boxes, frame_scores in zip(corners, scores, strict=True):
        best, order = frame_scores.amax(-1).sort(descending=True)
        order = order[best >= SCORE_FLOOR][:MAX_BOXES]
        found.append(clip(ScoredBoxes(frame_boxes[order], frame_scores[order]), height, width))
    return found


class DetectionTeacher(Teacher):
    """An `AutoModelForObjectDetection`; `model` is the checkpoint's network.

    Args:
        mapping: to the student's thing classes.
        stride: pixels a cell of the maps it draws.
    """

    def __init__(self, checkpoint: Checkpoint, mapping: ClassMapping, size: SizeRule, stride: int) -> None:
        super().__init__(None, mapping.known)
        self.model = checkpoint.model
        self.preprocess = Preprocess(checkpoint.preprocessing, size)
        self.mapping = mapping
        self.stride = stride
        self._classes = len(checkpoint.names)
        self._place = checkpoint.place
        self._config = checkpoint.config

    def predict(self, images: Tensor) -> TeacherOutputs:
        height, width = images.shape[-2:]
        out = self.model(pixel_values=self.preprocess(images))
        if out.logits.shape[-1] not in (self._classes, self._classes + 1):
            raise TrainingError(
                f"{self._place}: {out.logits.shape[-1]} logits a box, "
                f"but its config names {self._classes} classes"
            )
        boxes = query_boxes(out.logits, out.pred_boxes, self.mapping, self._classes, height, width)
        return TeacherOutputs(detection=render_boxes(boxes, height, width, self.stride), boxes=boxes)

    def settings(self) -> dict[str, Any]:
        return {
            "kind": "detection",
            "config": self._config,
            "preprocessing": self.preprocess.config,
            "size": self.preprocess.size,
            "mapping": self.mapping.channels,
            "stride": self.stride,
        }
