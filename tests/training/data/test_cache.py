"""Caches give what the source gives, and never what it gave before."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.training.data.sources.files import blocks, picture, write_ids, write_json, write_rgb
from training.data.cache import DiskCache, MemoryCache
from training.data.class_sets import class_set
from training.data.resize import Resized
from training.data.sample import Sample
from training.data.source_spec import FolderSpec, ImagesSpec
from training.data.sources import Source, open_source
from training.errors import TrainingError

FRAME_BYTES = 12 * 16 * 4


class Counted:
    """A source that counts what is read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.class_set = class_set("camvid")
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        self.reads.append(index)
        return self.source[index]

    def key(self, index: int) -> str:
        return self.source.key(index)


@pytest.fixture
def source(tmp_path: Path) -> Counted:
    folder = tmp_path / "drive"
    for seed, name in enumerate("abc"):
        write_rgb(folder / "images" / f"{name}.png", picture(seed))
        write_ids(folder / "labels" / f"{name}.png", blocks(seed, 11))
    return Counted(open_source(FolderSpec(name="f", path=folder)))


def change(source: Counted, index: int, seed: int) -> None:
    """Another picture in the file, of the same time to the second."""
    path = source.source.images[index]  # type: ignore[attr-defined]
    before = path.stat()
    write_rgb(path, picture(seed))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def assert_same(first: Sample, second: Sample) -> None:
    assert (first.name, first.has_mask, first.has_boxes) == (second.name, second.has_mask, second.has_boxes)
    assert (first.inside is None) == (second.inside is None)
    names = ["image", "mask", "boxes", "labels", "ignored", "ignored_labels"]
    for name in [*names, *(["inside"] if first.inside is not None else [])]:
        one, two = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype


def test_the_disk_keeps_which_pixels_an_unlabelled_frame_has(source: Counted, tmp_path: Path) -> None:
    bare = open_source(ImagesSpec(name="i", path=source.source.images[0].parent))  # type: ignore[attr-defined]
    resized = Resized(bare, (20, 20), "letterbox")
    cache = DiskCache(resized, tmp_path / "cache")
    for _ in range(2):  # written, then read
        assert_same(cache[0], resized[0])
    assert not resized[0].inside.all()


def test_memory_holds_the_first_frames_that_fit(source: Counted) -> None:
    cache = MemoryCache(source, 2 * FRAME_BYTES + 5)
    assert cache.used_bytes == 2 * FRAME_BYTES
    source.reads.clear()
    for index in range(3):
        assert_same(cache[index], source.source[index])
    assert source.reads == [2]
    assert MemoryCache(source, 0).used_bytes == 0


def test_memory_is_not_asked_for_a_file_that_changed(source: Counted) -> None:
    cache = MemoryCache(source, 10**6)
    change(source, 1, 99)
    np.testing.assert_array_equal(cache[1].image, picture(99))
    np.testing.assert_array_equal(cache[0].image, picture(0))


def test_disk_is_read_by_later_runs_too(source: Counted, tmp_path: Path) -> None:
    first = [DiskCache(source, tmp_path / "cache")[i] for i in range(3)]
    source.reads.clear()
    later = DiskCache(source, tmp_path / "cache")
    for index in range(3):
        assert_same(later[index], first[index])
    assert source.reads == []
    assert not list((tmp_path / "cache").rglob("*.partial"))


def test_disk_is_not_asked_for_a_file_that_changed_or_another_size(source: Counted, tmp_path: Path) -> None:
    cache = DiskCache(source, tmp_path / "cache")
    assert cache[1].name == "b"
    change(source, 1, 99)
    np.testing.assert_array_equal(cache[1].image, picture(99))
    small = DiskCache(Resized(source, (6, 8), "stretch"), tmp_path / "cache")
    assert small[1].size == (6, 8)
    assert cache[1].size == (12, 16)


@pytest.mark.parametrize("keep", [0, 30, 300, -20])
def test_a_damaged_cache_file_is_made_again(source: Counted, tmp_path: Path, keep: int) -> None:
    cache = DiskCache(source, tmp_path / "cache")
    good = cache[0]
    (file,) = (tmp_path / "cache").rglob("*.npz")
    file.write_bytes(file.read_bytes()[:keep])
    assert_same(cache[0], good)
    source.reads.clear()
    assert_same(cache[0], good)
    assert source.reads == []


def test_a_cache_that_cannot_be_written_says_what_to_do(source: Counted, tmp_path: Path) -> None:
    cache = DiskCache(source, tmp_path / "cache")
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(TrainingError, match=r"data\.cache\.folder: cannot write .* free some space"):
        cache[0]
    with pytest.raises(TrainingError, match=r"data\.cache\.folder: cannot make .*choose a writable folder"):
        DiskCache(source, tmp_path / "cache")


def test_ignored_regions_are_kept_on_disk(source: Counted, tmp_path: Path) -> None:
    crowd = {"image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4], "iscrowd": 1}
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [crowd], "categories": [{"id": 9}]}
    write_json(tmp_path / "drive" / "boxes.json", content)
    folder = open_source(FolderSpec(name="f", path=tmp_path / "drive"))
    cache = DiskCache(folder, tmp_path / "cache")
    written, read = cache[0], cache[0]
    np.testing.assert_array_equal(read.ignored, [[1, 2, 4, 6]])
    assert_same(written, read)
