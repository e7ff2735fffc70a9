"""Student and teacher side by side on validation data."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.support.tiny_training import tiny_recipe, write_color_blocks
from training.data.class_sets import CLASS_SETS
from training.data.module import SampleDataModule
from training.evaluation.teacher import teacher_scores
from training.models.multi_task import MultiTaskNet
from training.models.outputs import upsample
from training.run_folder import build_model
from training.teachers.base import Teacher, TeacherOutputs
from training.teachers.class_mapping import map_classes
from training.teachers.run import RunTeacher

CAMVID = CLASS_SETS["camvid"]
CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path) -> SampleDataModule:
    folder = write_color_blocks(tmp_path / "blocks", 5)
    module = SampleDataModule(tiny_recipe(folder, folder).data, batch=2, seed=0)
    module.setup()
    return module


def network(seed: int, data: SampleDataModule) -> MultiTaskNet:
    torch.manual_seed(seed)
    recipe = tiny_recipe(data.spec.train[0].path, data.spec.val[0].path)
    net = build_model(recipe.model, CAMVID).eval()
    with torch.no_grad():
        net.head[2].bias.normal_(std=0.1)  # random networks would name one class everywhere alike
    return net


def test_agreement_and_divergence_are_those_of_the_two_networks_pixels(data: SampleDataModule) -> None:
    student, master = network(1, data), network(2, data)
    teacher = RunTeacher(master, map_classes(CAMVID.names, CAMVID, {}, "mapping"), None, {})
    found = teacher_scores(student, teacher, data, CPU)
    images = [torch.from_numpy(data.val[0][index].image) for index in range(len(data.val[0]))]
    frames = torch.stack(images).permute(0, 3, 1, 2)
    with torch.inference_mode():
        log_s, log_t = (
            upsample(net(frames.float()).logits, 64, 96).log_softmax(1) for net in (student, master)
        )
    same = (log_s.argmax(1) == log_t.argmax(1)).float().mean().item()
    divergence = (log_t.exp() * (log_t - log_s)).sum(1).mean().item()
    assert found == pytest.approx({"agreement/blocks": same, "teacher_kl/blocks": divergence}, rel=1e-3)
    assert teacher_scores(master, teacher, data, CPU)["agreement/blocks"] == 1.0


def test_a_teacher_that_does_not_segment_says_nothing(data: SampleDataModule) -> None:
    teacher = RunTeacher(network(2, data), None, None, {})
    assert teacher_scores(network(1, data), teacher, data, CPU) == {}


class HalfForeign(Teacher):
    """Says what the student says, of the right half; the left half it holds for none of its classes."""

    def __init__(self, student: MultiTaskNet) -> None:
        super().__init__([True] * len(CAMVID.names), None)
        self.student = student

    def predict(self, images: torch.Tensor) -> TeacherOutputs:
        log_probs = upsample(self.student(images).logits, *images.shape[-2:]).log_softmax(1)
        left = torch.arange(images.shape[-1]) < images.shape[-1] // 2
        log_probs = torch.where(left, log_probs.flip(1) - 5.0, log_probs)  # of the little mass, another class
        return TeacherOutputs(log_probs, None)

    def settings(self) -> dict[str, object]:
        return {}


def test_pixels_of_unlabelled_frames_that_the_teacher_holds_for_no_class_do_not_count(tmp_path: Path) -> None:
    folder = write_color_blocks(tmp_path / "blocks", 5)
    shutil.rmtree(folder / "labels")
    data = SampleDataModule(tiny_recipe(folder, folder).data, batch=2, seed=0)
    data.setup()
    student = network(1, data)
    found = teacher_scores(student, HalfForeign(student), data, CPU)
    assert found == pytest.approx({"agreement/blocks": 1.0, "teacher_kl/blocks": 0.0}, abs=1e-3)
