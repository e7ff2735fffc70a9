"""The data module: the same batches whatever reads them, from any mixture of sources."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

from tests.training.data.sources.files import blocks, picture, write_ids, write_json, write_rgb
from training.data.module import SampleDataModule
from training.data.sample import Batch
from training.data.sampler import Draw, EpochSampler
from training.data.spec import DataSpec
from training.errors import TrainingError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine labelled frames of 16x12 with a car in each, five with known boxes."""
    images, boxes = [], []
    for index in range(9):
        write_rgb(tmp_path / "images" / f"{index}.png", picture(index))
        write_ids(tmp_path / "labels" / f"{index}.png", blocks(3, 8, index, 11))
        if index < 5:
            images.append({"id": index, "file_name": f"{index}.png"})
            boxes.append({"id": index, "image_id": index, "category_id": 8, "bbox": [4, 0, 4, 12]})
    content = {"images": images, "annotations": boxes, "categories": [{"id": 8, "name": "car"}]}
    write_json(tmp_path / "boxes.json", content)
    return tmp_path


def module(folder: Path, **changes: Any) -> SampleDataModule:
    source = {"name": "f", "path": folder}
    values = {
        "train": [source],
        "val": [source],
        "size": (24, 32),
        "workers": 0,
        "augment": {"crop": (16, 16), "copy_paste": {"classes": ["pedestrian"]}, "cutout": {}},
        **changes,
    }
    spec = DataSpec.model_validate(values)
    return SampleDataModule(spec, batch=4, seed=5)


def epochs(data: SampleDataModule, count: int) -> list[Batch]:
    loader = data.train_dataloader()
    batches = []
    for epoch in range(count):
        assert isinstance(loader.sampler, EpochSampler)
        loader.sampler.set_epoch(epoch)
        batches += list(loader)
    return batches


def assert_equal(first: list[Batch], second: list[Batch]) -> None:
    assert [batch.names for batch in first] == [batch.names for batch in second]
    for one, two in zip(first, second, strict=True):
        assert torch.equal(one.images, two.images)
        assert torch.equal(one.masks, two.masks)
        for a, b in zip(one.boxes + one.labels, two.boxes + two.labels, strict=True):
            assert torch.equal(a, b)


def test_workers_caches_and_where_it_starts_change_nothing(folder: Path, tmp_path: Path) -> None:
    expected = epochs(module(folder), 3)
    assert len(expected) == 3 * 2
    assert_equal(epochs(module(folder, workers=2), 3), expected)
    cache = {"memory_mb": 0, "folder": tmp_path / "cache"}
    for _ in range(2):
        assert_equal(epochs(module(folder, cache=cache), 3), expected)
    loader = module(folder).train_dataloader()
    loader.sampler.set_epoch(2)  # as after a resume
    assert_equal(list(loader), expected[4:])
    assert not torch.equal(expected[0].images, expected[2].images)


def test_lightning_advances_the_epoch_and_takes_the_batches(folder: Path) -> None:
    data = module(folder)
    seen: list[list[str]] = []

    class Watcher(L.LightningModule):
        def training_step(self, batch: Batch, _: int) -> None:
            seen.append(batch.names)

        def configure_optimizers(self) -> None:
            return None

    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(
        max_epochs=2, accelerator="cpu", enable_model_summary=False, limit_val_batches=0, **quiet
    )
    trainer.fit(Watcher(), data)
    assert seen == [batch.names for batch in epochs(module(folder), 2)]


def test_a_frame_is_changed_otherwise_in_each_epoch_and_place(folder: Path) -> None:
    frames = module(folder).train_dataloader().dataset
    images = [frames[Draw(0, epoch, position)].image for epoch, position in [(0, 0), (1, 0), (0, 1), (0, 0)]]
    assert not (images[0] == images[1]).all()
    assert not (images[0] == images[2]).all()
    np.testing.assert_array_equal(images[0], images[3])


def test_an_epoch_shows_every_frame_once_but_for_the_rest_of_a_batch() -> None:
    sampler = EpochSampler(10, 4, seed=3)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        draws = list(sampler)
        assert len(draws) == len(sampler) == 8
        assert len({draw.index for draw in draws}) == 8
        assert [draw.position for draw in draws] == list(range(8))
        orders.append([draw.index for draw in draws])
    assert orders[0] != orders[1] != orders[2]


def test_an_epoch_of_whole_batches_shows_every_frame() -> None:
    sampler = EpochSampler(8, 4, seed=3)
    assert sorted(draw.index for draw in sampler) == list(range(8))
    assert len(sampler) == 8


@pytest.mark.parametrize("world", [2, 4])
def test_processes_together_get_the_batches_of_one(world: int) -> None:
    whole = EpochSampler(21, 8, seed=3)
    parts = [EpochSampler(21, 8, seed=3, rank=rank, world=world) for rank in range(world)]
    share = 8 // world
    for epoch in range(2):
        for sampler in [whole, *parts]:
            sampler.set_epoch(epoch)
        draws, shares = list(whole), [list(part) for part in parts]
        assert {len(part) for part in shares} == {len(parts[0])} == {len(whole) // world}
        for step in range(2):
            together = itertools.chain(*(part[step * share : (step + 1) * share] for part in shares))
            assert set(together) == set(draws[step * 8 : (step + 1) * 8])


def test_validation_frames_are_whole_in_order_and_unchanged(folder: Path) -> None:
    data = module(folder, size=(12, 16))
    data.setup()
    (loader,) = data.val_dataloader()
    batches = list(loader)
    assert [name for batch in batches for name in batch.names] == [str(i) for i in range(9)]
    np.testing.assert_array_equal(batches[0].images[2].permute(1, 2, 0), picture(2))
    np.testing.assert_array_equal(batches[0].masks[2], blocks(3, 8, 2, 11))
    np.testing.assert_array_equal(batches[0].boxes[2], [[4, 0, 8, 12]])
    assert [flag for batch in batches for flag in batch.has_boxes.tolist()] == [True] * 5 + [False] * 4


def test_sets_of_other_classes_and_without_labels_mix(folder: Path, tmp_path: Path) -> None:
    training = tmp_path / "kitti" / "training"
    write_rgb(training / "image_2" / "0.png", picture(0, 20, 40))
    (training / "label_2").mkdir()
    (training / "label_2" / "0.txt").write_text("Cyclist 0 0 0 4 5 20 15 1 1 1 1 1 1 1\n")
    train = [
        {"name": "f", "path": folder, "repeat": 2},
        {"name": "k", "path": tmp_path / "kitti", "format": "kitti_object"},
        {"name": "own", "path": folder / "images", "format": "images", "every": 3},
    ]
    data = module(folder, train=train, resize="letterbox")
    data.setup()
    assert data.train is not None
    assert len(data.train) == 2 * 9 + 1 + 3
    cyclist = data.train[18]
    assert [data.class_set.names[i] for i in cyclist.labels] == ["bicyclist"]
    np.testing.assert_allclose(cyclist.boxes, [[3.2, 8, 16, 16]], atol=1e-4)  # 40x20 centred in 32x24
    assert (cyclist.has_mask, data.train[20].has_mask, data.train[20].has_boxes) == (False, False, False)
    assert data.steps_per_epoch == 22 // 4
    assert len(epochs(data, 1)) == 5


def test_class_frequencies_leave_void_and_frames_without_masks_out(folder: Path) -> None:
    train = [
        {"name": "f", "path": folder, "every": 5},
        {"name": "o", "path": folder / "images", "format": "images"},
    ]
    data = module(folder, train=train)
    # Frames 0 and 5: a quarter each of road, car and of classes 0 and 5; a quarter is void.
    expected = torch.zeros(11, dtype=torch.float64)
    expected[[0, 3, 5, 8]] = torch.tensor([1, 2, 1, 2], dtype=torch.float64) / 6
    torch.testing.assert_close(data.class_frequencies(), expected)


def test_a_later_stage_may_augment_otherwise(folder: Path) -> None:
    data = module(folder)
    assert next(iter(data.train_dataloader())).images.shape[-2:] == (16, 16)
    data.augment = data.augment.model_copy(update={"crop": (20, 24)})
    assert next(iter(data.train_dataloader())).images.shape[-2:] == (20, 24)


def test_things_that_a_source_never_boxes_are_warned_of(folder: Path) -> None:
    with pytest.warns(UserWarning, match=r"'f' has boxes, but none of .*traffic light.*teaches nothing"):
        module(folder, class_set="bdd100k", augment={}).setup()


def test_batches_that_cannot_be_filled_or_shared_out_are_refused(folder: Path) -> None:
    with pytest.raises(TrainingError, match="3 frames do not fill one batch of 4"):
        module(folder, train=[{"name": "f", "path": folder, "every": 3}]).setup()
    data = module(folder)

    class Three:
        global_rank, world_size = 0, 3

    data.trainer = Three()  # type: ignore[assignment]
    with pytest.raises(TrainingError, match="a batch of 4 cannot be shared out to 3 processes"):
        data.train_dataloader()


def test_workers_start_where_opencv_has_used_its_threads(folder: Path) -> None:
    code = f"""
import cv2, numpy as np
from pathlib import Path
from tests.training.data.test_module import epochs, module
cv2.setNumThreads(4)
cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (9, 9), 0)
print(len(epochs(module(Path({str(folder)!r}), size=(960, 1280), workers=2), 1)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, start_new_session=True
    )
    assert done.stdout == "2\n", done.stderr
