"""A cached teacher sees each frame once, whoever asks."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.training.teachers.fakes import FakeTeacher, color_logits
from training.errors import TrainingError
from training.teachers.base import ScoredBoxes, TeacherOutputs
from training.teachers.cache.codes import decode_codes
from training.teachers.cache.fill import fill_cache
from training.teachers.cache.teacher import CachedTeacher
from training.teachers.detection_maps import render_boxes
from training.teachers.fingerprint import ANSWERS_VERSION, fingerprint

BOX = [8.0, 4.0, 24.0, 20.0]
NAMES = ("a", "b", "c", "d", "e")


def frames(count: int, size: tuple[int, int] = (32, 48)) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3)).astype(np.uint8) for _ in range(count)]


def both_tasks(images: Tensor) -> TeacherOutputs:
    items = [ScoredBoxes(torch.tensor([BOX]), torch.tensor([[0.75, 0.25]]))] * len(images)
    height, width = images.shape[-2:]
    return TeacherOutputs(color_logits(images, 5), render_boxes(items, height, width, 4))


def cached(folder: Path, name: str = "fake", limit: int = 10**9) -> tuple[CachedTeacher, FakeTeacher]:
    teacher = FakeTeacher(both_tasks, [True] * 5, [True, True], name)
    return CachedTeacher(teacher, fingerprint(teacher, NAMES), folder, limit, {"teacher": name}), teacher


def test_the_second_question_is_answered_from_disk(tmp_path: Path) -> None:
    asking, teacher = cached(tmp_path)
    (image,) = frames(1)
    (first,) = asking.ask([image])
    again = cached(tmp_path)[0].reader().outputs_for(image)
    assert teacher.asked == 1
    np.testing.assert_array_equal(first.codes, again.codes)
    exact = color_logits(torch.from_numpy(image).permute(2, 0, 1)[None].float(), 5)
    stored = decode_codes(torch.from_numpy(again.codes)[None])
    torch.testing.assert_close(stored.exp(), exact.exp(), atol=0.02, rtol=0)
    np.testing.assert_allclose(again.boxes, [BOX], atol=1e-3)
    np.testing.assert_allclose(again.scores, [[0.75, 0.25]], atol=1e-3)


def test_another_frame_teacher_or_class_set_is_another_entry(tmp_path: Path) -> None:
    asking, teacher = cached(tmp_path)
    image, other = frames(2)
    asking.ask([image])
    assert asking.has(image)
    assert not asking.has(other)
    assert not asking.has(image.reshape(48, 32, 3)), "the same bytes in another shape"
    _, renamed = cached(tmp_path, "another")
    assert fingerprint(renamed, NAMES) != fingerprint(teacher, NAMES)
    assert fingerprint(teacher, NAMES) != fingerprint(teacher, NAMES[::-1])


def test_fingerprint_follows_the_weights() -> None:
    teacher = FakeTeacher(both_tasks, [True] * 5)
    teacher.layer = torch.nn.Linear(2, 2)
    before = fingerprint(teacher, NAMES)
    assert fingerprint(teacher, NAMES) == before
    with torch.no_grad():
        teacher.layer.bias[1] += 1e-6
    assert fingerprint(teacher, NAMES) != before


def test_what_an_older_computation_answered_is_asked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (image,) = frames(1)
    cached(tmp_path)[0].ask([image])
    assert cached(tmp_path)[0].has(image)
    monkeypatch.setattr("training.teachers.fingerprint.ANSWERS_VERSION", ANSWERS_VERSION + 1)
    assert not cached(tmp_path)[0].has(image)


def test_fill_resumes_where_it_was_stopped(tmp_path: Path) -> None:
    images = frames(7)
    asking, teacher = cached(tmp_path)
    for count in fill_cache(asking, images, batch=2):
        if count.asked >= 4:
            break
    assert teacher.asked == 4
    asking, teacher = cached(tmp_path)
    counts = list(fill_cache(asking, [*images, *frames(1, (40, 48))], batch=2))
    assert (counts[-1].asked, counts[-1].found) == (4, 4)
    assert teacher.asked == 4  # three frames that were left, and one of another size


def test_a_damaged_entry_is_asked_again(tmp_path: Path) -> None:
    asking, teacher = cached(tmp_path)
    images = frames(2)
    list(fill_cache(asking, images))
    for path in asking.store.folder.glob("*/*.npz"):
        path.write_bytes(path.read_bytes()[:100])
    counts = list(fill_cache(asking, images))
    assert (counts[-1].asked, counts[-1].found) == (2, 0)
    assert teacher.asked == 4


def test_workers_read_without_the_teacher_and_say_what_is_missing(tmp_path: Path) -> None:
    asking, teacher = cached(tmp_path)
    image, other = frames(2)
    (expected,) = asking.ask([image])
    reader = pickle.loads(pickle.dumps(asking.reader()))
    np.testing.assert_array_equal(reader.outputs_for(image).codes, expected.codes)
    with pytest.raises(TrainingError, match=r"lacks a frame .* teacher fill"):
        reader.outputs_for(other)
    assert teacher.asked == 1


def test_forward_asks_the_teacher_itself(tmp_path: Path) -> None:
    asking, teacher = cached(tmp_path)
    images = torch.rand(2, 3, 32, 48, requires_grad=True)
    out = asking.train()(images)
    assert teacher.asked == 2
    assert not list(asking.store.folder.glob("*/*.npz"))
    assert not out.logits.requires_grad
    assert not asking.training


def test_a_limit_that_is_too_small_for_the_data_is_said_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asking, _ = cached(tmp_path, limit=20_000)
    with caplog.at_level(logging.WARNING):
        next(fill_cache(asking, frames(2), batch=2, total=10**6))
    assert "more than teacher.cache.limit_gb" in caplog.text
