"""Networks trained here as teachers, whatever they return."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training.data.class_sets import CLASS_SETS
from training.errors import TrainingError
from training.models.multi_task import MultiTaskNet
from training.models.outputs import Outputs
from training.models.spec import DetectionSpec, FpnSpec, ModelSpec
from training.teachers.class_mapping import map_classes
from training.teachers.detection_maps import LOW_LOGIT
from training.teachers.open import open_teacher
from training.teachers.run import RunTeacher
from training.teachers.spec import TeacherSpec

CAMVID, CITYSCAPES = CLASS_SETS["camvid"], CLASS_SETS["cityscapes"]


class LogitsOnly(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 11, 4, stride=4)

    def forward(self, images: Tensor) -> Outputs:
        return Outputs(self.layer(images / 255))


def test_logits_become_log_probabilities_without_gradient() -> None:
    torch.manual_seed(0)
    model = LogitsOnly()
    classes = map_classes(CAMVID.names, CAMVID, {}, "m")
    images = torch.rand(2, 3, 32, 48) * 255
    out = RunTeacher(model, classes, None, {})(images)
    assert out.logits is not None
    torch.testing.assert_close(out.logits, model(images).logits.detach().log_softmax(1))
    assert not out.logits.requires_grad
    assert out.detection is None


def test_a_multi_task_run_on_other_classes_is_mapped_in_both_tasks() -> None:
    torch.manual_seed(0)
    spec = ModelSpec(
        pretrained=False,
        decoder=FpnSpec(width=16),
        tasks=("segmentation", "detection"),
        detection=DetectionSpec(width=16),
    )
    things = [item.id for item in CITYSCAPES.things]
    model = MultiTaskNet(spec, len(CITYSCAPES), things).eval()
    names = [item.name for item in CITYSCAPES.things]
    classes = map_classes(CITYSCAPES.names, CAMVID, {}, "m")
    mapped = map_classes(names, CAMVID, {"car": ["car", "bus"], "bicyclist": []}, "m", things=True)
    images = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        raw = model(images)
    assert isinstance(raw, Outputs)
    teacher = RunTeacher(model, classes, mapped, {})
    out = teacher(images)
    assert out.logits is not None
    assert out.detection is not None
    pavement = raw.logits.softmax(1)[:, CITYSCAPES.id_of("sidewalk")]
    torch.testing.assert_close(out.logits[:, CAMVID.id_of("pavement")].exp(), pavement)
    heat = raw.detection.heatmap
    expected = torch.maximum(heat[:, names.index("car")], heat[:, names.index("bus")])
    torch.testing.assert_close(out.detection.heatmap[:, 0], expected)
    assert (out.detection.heatmap[:, 2] == LOW_LOGIT).all()
    torch.testing.assert_close(out.detection.size, raw.detection.size)
    assert teacher.known_things is not None
    assert teacher.known_things.tolist() == [True, True, False]


def test_a_run_folder_that_is_none_says_how_to_train_one(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cannot read recipe .*recipe.yaml"):
        open_teacher(TeacherSpec(run=tmp_path), CAMVID)
