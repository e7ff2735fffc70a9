"""The store outlives killed writers, other processes, damage and its own limit."""

import logging
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from training.data.array_store import ArrayStore
from training.errors import TrainingError

BIG = 10**9
SETTING = "teacher.cache"


def entry(seed: int) -> dict[str, np.ndarray]:
    return {"codes": np.random.default_rng(seed).integers(0, 256, (20, 50)).astype(np.uint8)}


def write_many(folder: Path, seeds: range) -> None:
    store = ArrayStore(folder, SETTING, BIG)
    for seed in seeds:
        store.put(f"{seed % 10:02d}key", entry(seed % 10))


def test_what_is_put_is_got(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path / "a", SETTING, BIG)
    assert store.get("ab12") is None
    store.put("ab12", entry(0))
    found = ArrayStore(tmp_path / "a", SETTING, BIG).get("ab12")
    assert found is not None
    np.testing.assert_array_equal(found["codes"], entry(0)["codes"])


def test_processes_that_write_the_same_entries_leave_them_whole(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")  # a fork would have the locks of threads that it lacks
    writers = [
        spawn.Process(target=write_many, args=(tmp_path, range(start, start + 60))) for start in (0, 5)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    store = ArrayStore(tmp_path, SETTING, BIG)
    for key in range(10):
        found = store.get(f"{key:02d}key")
        assert found is not None
        np.testing.assert_array_equal(found["codes"], entry(key)["codes"])
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_entry_counts_as_absent_and_is_logged(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = ArrayStore(tmp_path, SETTING, BIG)
    store.put("ab12", entry(0))
    path = store.path("ab12")
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 0xFF
    path.write_bytes(content[: {"cut": len(content) // 2, "flip": len(content), "empty": 0}[damage]])
    with caplog.at_level(logging.WARNING):
        assert store.get("ab12") is None
    assert "is damaged" in caplog.text
    store.put("ab12", entry(0))
    assert store.get("ab12") is not None


def test_above_the_limit_the_oldest_entries_go_first(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path, SETTING, BIG)
    for number in range(10):
        store.put(f"{number:02d}key", entry(number))
        os.utime(store.path(f"{number:02d}key"), (1000 + number, 1000 + number))
    one = store.size() / 10
    limited = ArrayStore(tmp_path, SETTING, int(one * 5.5))
    limited.put("99key", entry(99))
    left = sorted(path.stem for path in tmp_path.glob("*/*.npz"))
    assert limited.size() <= one * 5.5
    assert "99key" in left
    assert left == [f"{number:02d}key" for number in range(10 - len(left) + 1, 10)] + ["99key"]
    assert 4 <= len(left) <= 5


def test_leftovers_of_killed_writers_are_removed_once_they_are_old(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path, SETTING, BIG)
    (tmp_path / "ab").mkdir()
    old, new = tmp_path / "ab" / "x.partial", tmp_path / "ab" / "y.partial"
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (1000, 1000))
    store.evict()
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_cannot_be_made_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match=r"cannot make .*choose a writable folder"):
        ArrayStore(tmp_path / "file" / "cache", SETTING, BIG)
