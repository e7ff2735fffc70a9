"""Training with a teacher's cache: the targets are those of the teacher itself, and it is asked once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.support.tiny_training import SIZE, tiny_recipe, write_color_blocks
from tests.training.teachers.fakes import FakeTeacher, color_logits
from training.data.class_sets import CAMVID, class_set
from training.data.sample import Batch
from training.data.source_spec import FolderSpec
from training.data.spec import AugmentSpec, DataSpec
from training.errors import TrainingError
from training.models.spec import FpnSpec, ModelSpec
from training.recipe import OptimizerSpec, Recipe
from training.run_log import read_rows
from training.teachers.base import ScoredBoxes, TeacherOutputs
from training.teachers.cache.codes import LOG_STEP, decode_codes, encode_log_probs
from training.teachers.cache.data_module import TaughtDataModule
from training.teachers.cache.teacher import CachedTeacher
from training.teachers.detection_maps import render_boxes
from training.train import train

STRIDE = 4
FRAMES = 8
CLASSES = len(CAMVID)
THINGS = [item for item in CAMVID if item.kind == "thing"]
STILL = {"scale": (1.0, 1.0), "flip": 0.0, "color": 0.0, "blur": 0.0}
LOSSES = [{"name": "kl", "temperature": 2.0}, {"name": "cwd"}, {"name": "heatmap"}, {"name": "localization"}]


def colored_boxes(image: Tensor) -> ScoredBoxes:
    """Around all pixels float [3,H,W] of each thing's colour: mirrored with the frame."""
    boxes, scores = [], []
    for channel, thing in enumerate(THINGS):
        found = (image == torch.tensor(thing.color)[:, None, None]).all(0)
        if found.any():
            rows, columns = (found.any(axis).nonzero()[:, 0] for axis in (1, 0))
            boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            scores.append([0.75 if index == channel else 0.125 for index in range(len(THINGS))])
    return ScoredBoxes(
        torch.tensor(boxes).float().view(-1, 4), torch.tensor(scores).float().view(-1, len(THINGS))
    )


def by_color(stride: int) -> Callable[[Tensor], TeacherOutputs]:
    def answer(images: Tensor) -> TeacherOutputs:
        boxes = [colored_boxes(image) for image in images]
        maps = render_boxes(boxes, *images.shape[-2:], STRIDE)
        logits = color_logits(images, CLASSES, stride) / 2  # none so improbable that the cache cuts it off
        return TeacherOutputs(logits.log_softmax(1), maps, boxes)

    return answer


def toy(stride: int = STRIDE) -> FakeTeacher:
    """Answers by colour, a cell of `stride` pixels at a time."""
    return FakeTeacher(by_color(stride), [True] * CLASSES, [True] * len(THINGS))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("blocks")
    return (
        write_color_blocks(root / "train", FRAMES, 1, boxes=True),
        write_color_blocks(root / "val", 2, 2, boxes=True),
    )


def batches(folder: Path, teacher: FakeTeacher, cache: Path, workers: int = 0, **augment: Any) -> list[Batch]:
    """One epoch of batches with answers."""
    source = FolderSpec(name="blocks", path=folder)
    changes = AugmentSpec.model_validate({"crop": SIZE, **STILL, **augment})
    spec = DataSpec(train=[source], val=[source], size=SIZE, augment=changes, workers=workers)
    data = TaughtDataModule(spec, 4, 5)
    data.learn_from(CachedTeacher(teacher, "toy", cache, 10**9, {}), STRIDE, STRIDE)
    data.prepare_data()
    return list(data.train_dataloader())


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_answers_to_whole_and_mirrored_frames_are_the_teachers_own_codes(
    folders: tuple[Path, Path], tmp_path: Path, flip: float
) -> None:
    teacher = toy(stride=STRIDE // 2)  # the answers' grid: twice as fine as the student's
    for batch in batches(folders[0], teacher, tmp_path, flip=flip):
        assert batch.answers is not None
        assert batch.answers.answered.all()
        live = teacher(batch.images.float())
        assert torch.equal(batch.answers.codes, encode_log_probs(live.logits))
        for boxes, scores, said in zip(batch.answers.boxes, batch.answers.scores, live.boxes, strict=True):
            torch.testing.assert_close(boxes, said.boxes, atol=1e-3, rtol=0)
            torch.testing.assert_close(scores.float(), said.scores)


def test_crops_padding_cutouts_and_pasted_pieces_get_what_the_teacher_says_or_nothing(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    """The teacher looks at single pixels, so that its answer to a crop is the crop of its answer."""
    changes = {
        "crop": (72, 64),
        "flip": 0.5,
        "cutout": {"probability": 0.7},
        "copy_paste": {"classes": ["road", "tree", "building"], "probability": 0.7},
    }
    shares = []
    for batch in batches(folders[0], toy(stride=1), tmp_path, **changes):
        answers = batch.answers
        assert answers is not None
        assert answers.codes is not None
        answered = answers.answered
        stored = decode_codes(answers.codes)
        assert torch.equal((answers.codes > 0).any(1), answered)
        exact = by_color(1)(batch.images.float()).logits
        live = F.interpolate(exact, answered.shape[1:], mode="bilinear").log_softmax(1)
        # Half a step of rounding when stored and half when resized, of each class and of their sum.
        assert (stored - live).abs().amax(1)[answered].max() <= 2 * LOG_STEP
        assert (stored.exp() - live.exp()).abs().amax(1)[answered].max() < 0.03
        labelled = batch.masks != class_set("camvid").void_id
        corners = (labelled[:, y::2, x::2] for y in (0, 1) for x in (0, 1))  # the pixels of each cell
        whole = torch.stack(list(corners)).all(0)
        assert not answered[~whole].any()  # padded or cut out
        assert not answered[whole].all()  # pasted
        shares += answered.float().mean((1, 2)).tolist()
    assert 0.2 < min(shares) < max(shares) < 1


def test_workers_read_the_same_answers(folders: tuple[Path, Path], tmp_path: Path) -> None:
    changes = {"crop": (48, 64), "scale": (0.5, 2.0), "flip": 0.5}
    teacher = toy()
    alone = batches(folders[0], teacher, tmp_path, **changes)
    assert teacher.asked == FRAMES
    several = batches(folders[0], teacher, tmp_path, workers=2, **changes)
    assert teacher.asked == FRAMES
    for one, other in zip(alone, several, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.answers.codes, other.answers.codes)
        assert torch.equal(one.answers.answered, other.answers.answered)
        for first, second in zip(one.answers.boxes, other.answers.boxes, strict=True):
            assert torch.equal(first, second)


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> FakeTeacher:
    """What every recipe's teacher section opens."""
    found = toy(stride=STRIDE // 2)
    monkeypatch.setattr("training.teachers.open._open_member", lambda *_: found)
    return found


@pytest.fixture
def recipe(folders: tuple[Path, Path]) -> Callable[..., Recipe]:
    def make(teacher: dict[str, object], entries: list[dict[str, Any]] = LOSSES) -> Recipe:
        augment = AugmentSpec.model_validate({"crop": SIZE, **STILL, "flip": 0.5, "cutout": {}})
        made = tiny_recipe(
            *folders,
            epochs=1,
            model=ModelSpec(pretrained=False, decoder=FpnSpec(width=16), tasks=["segmentation", "detection"]),
            optimizer=OptimizerSpec(epochs=1, batch=4, warmup_steps=1, precision="32", lr=1e-4),
            teacher={"run": "toy", **teacher},
            distillation=entries,
        )
        return made.model_copy(update={"data": made.data.model_copy(update={"augment": augment})})

    return make


def losses(run: Path, names: list[str]) -> Tensor:
    """Float [rows,losses] of a run's log."""
    found = [[row[name] for name in names] for row in read_rows(run) if names[0] in row]
    assert found
    return torch.tensor(found)


def test_a_training_computes_what_it_does_with_the_teacher_itself_and_asks_it_once(
    recipe: Callable[..., Recipe], teacher: FakeTeacher, tmp_path: Path
) -> None:
    train(recipe({}), tmp_path / "live")
    assert teacher.asked > FRAMES  # each epoch anew, and to see what it gives
    teacher.asked = 0
    cached = recipe({"cache": tmp_path / "cache"})
    train(cached, tmp_path / "first")
    assert teacher.asked == FRAMES
    train(cached, tmp_path / "second")
    assert teacher.asked == FRAMES
    names = [f"loss/distill_{entry['name']}" for entry in LOSSES]
    live, first, second = (losses(tmp_path / run, names) for run in ("live", "first", "second"))
    assert (live > 0).all()
    torch.testing.assert_close(first, live, rtol=0.02, atol=0)
    torch.testing.assert_close(second, first, rtol=1e-6, atol=0)


def test_a_cache_without_losses_that_need_it_asks_nobody(
    recipe: Callable[..., Recipe], teacher: FakeTeacher, tmp_path: Path
) -> None:
    train(recipe({"cache": tmp_path / "cache"}, entries=[]), tmp_path / "run")
    assert teacher.asked == 0


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Lightning ignores further ones in this process."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_a_training_stopped_while_it_asks_goes_on_with_the_rest(
    recipe: Callable[..., Recipe], teacher: FakeTeacher, tmp_path: Path
) -> None:
    said = teacher.answer

    def stop(images: Tensor) -> TeacherOutputs:
        if teacher.asked > 4:
            raise KeyboardInterrupt
        return said(images)

    cached = recipe({"cache": tmp_path / "cache"})
    teacher.answer = stop
    with pytest.raises(KeyboardInterrupt):
        train(cached, tmp_path / "run")
    assert len(list((tmp_path / "cache").glob("*/*/*.npz"))) == 4
    assert not list((tmp_path / "cache").rglob("*.partial"))
    teacher.answer, teacher.asked = said, 0
    train(cached, tmp_path / "run", resume=True)
    assert teacher.asked == FRAMES - 4


@pytest.mark.usefixtures("teacher")
def test_a_cache_that_cannot_hold_all_frames_stops_the_training_at_once(
    recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    cached = recipe({"cache": {"folder": tmp_path / "cache", "limit_gb": 3e-6}})
    with pytest.raises(TrainingError, match=r"8 frames' answers, \d were dropped .*limit_gb, which is 3e-06"):
        train(cached, tmp_path / "run")


@pytest.mark.usefixtures("teacher")
def test_tasks_that_the_teacher_does_not_do_are_named(
    recipe: Callable[..., Recipe], teacher: FakeTeacher, tmp_path: Path
) -> None:
    teacher.known_things = None
    with pytest.raises(TrainingError, match=r"distillation\.2 \(heatmap\): the teacher gives no detection"):
        train(recipe({"cache": tmp_path / "cache"}), tmp_path / "run")
