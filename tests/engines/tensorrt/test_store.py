import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from distill_perception.engines.tensorrt.store import EngineKey, EngineStore, Entry, engines_kept_in

KEY = EngineKey("ab" * 32, "fp32", "tensorrt", "10.3.0", "NVIDIA X, sm86, driver 12.6", (48, 64), 2)
TARGETS = (KEY.target, "sm86", "ampere+")


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines")


def stored(store: EngineStore, key: EngineKey = KEY, content: bytes = b"engine") -> Entry:
    store.write(key, content, "tiny")
    (entry,) = [entry for entry in store.entries() if entry.key == key]
    return entry


def test_an_engine_comes_back_as_it_was_written(store: EngineStore) -> None:
    stored(store)
    entry = store.find(KEY, TARGETS)
    assert entry is not None
    assert store.read(entry) == b"engine"
    assert (entry.bundle, entry.bytes, entry.key) == ("tiny", 6, KEY)


@pytest.mark.parametrize(
    "other",
    [
        {"onnx_sha256": "cd" * 32},
        {"precision": "int8"},
        {"library": "tensorrt_rtx"},
        {"version": "10.4.0"},
        {"target": "NVIDIA X, sm86, driver 12.9"},
        {"target": "sm87"},
        {"shape": (64, 48)},
        {"max_batch": 1},
        {"recipe": KEY.recipe + 1},
    ],
    ids=str,
)
def test_an_engine_made_from_or_for_something_else_is_not_found(
    store: EngineStore, other: dict[str, object]
) -> None:
    stored(store, replace(KEY, **other))
    assert store.find(KEY, TARGETS) is None


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"max_batch": 4}, True),
        ({"target": "sm86"}, True),
        ({"target": "ampere+"}, True),
        ({"version": "10.1.0", "version_compatible": True}, True),
        ({"version": "9.9.0", "version_compatible": True}, True),
        ({"version": "10.10.0", "version_compatible": True}, False),
    ],
    ids=str,
)
def test_a_more_general_engine_serves_too(store: EngineStore, other: dict[str, object], found: bool) -> None:
    stored(store, replace(KEY, **other))
    assert (store.find(KEY, TARGETS) is not None) is found


def test_of_several_the_most_particular_is_taken(store: EngineStore) -> None:
    for other in ({"target": "ampere+"}, {"max_batch": 8}, {}, {"target": "sm86"}):
        stored(store, replace(KEY, **other))
    entry = store.find(KEY, TARGETS)
    assert entry is not None
    assert entry.key == KEY


def test_an_engine_of_the_very_version_goes_before_one_of_an_older_that_fits_better(
    store: EngineStore,
) -> None:
    stored(store, replace(KEY, version="10.1.0", version_compatible=True))
    stored(store, replace(KEY, max_batch=8))
    entry = store.find(KEY, TARGETS)
    assert entry is not None
    assert entry.key.version == KEY.version


def test_a_changed_engine_is_not_read(store: EngineStore, caplog: pytest.LogCaptureFixture) -> None:
    entry = stored(store)
    entry.path.write_bytes(b"evil!!")
    assert store.read(entry) is None
    assert "SHA-256" in caplog.text


def test_a_description_moved_to_another_engine_is_not_believed(store: EngineStore) -> None:
    entry = stored(store)
    note = entry.path.with_suffix(".json")
    note.write_text(json.dumps({**json.loads(note.read_text()), "key": vars(replace(KEY, precision="int8"))}))
    (changed,) = store.entries()
    assert store.read(changed) is None


@pytest.mark.parametrize("who", [0o020, 0o002], ids=["group", "others"])
@pytest.mark.parametrize("place", ["engine", "description", "folder"])
def test_what_others_could_have_written_is_not_read(
    store: EngineStore, place: str, who: int, caplog: pytest.LogCaptureFixture
) -> None:
    entry = stored(store)
    files = {"engine": entry.path, "description": entry.path.with_suffix(".json"), "folder": store.folder}
    files[place].chmod(files[place].stat().st_mode | who)
    assert store.read(entry) is None
    assert "others than this user can write it" in caplog.text


@pytest.mark.parametrize(("owner", "read"), [(1000, True), (0, True), (1001, False)], ids=str)
def test_an_engine_of_another_user_is_not_read_but_one_of_root_is(
    store: EngineStore, owner: int, read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = stored(store)
    mode = entry.path.stat().st_mode
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(Path, "stat", lambda path, **_: SimpleNamespace(st_uid=owner, st_mode=mode))
    assert (store.read(entry) is not None) is read


def test_a_missing_engine_is_not_read(store: EngineStore) -> None:
    entry = stored(store)
    entry.path.unlink()
    assert store.read(entry) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": {"colour": 1}}', '{"key": 3}'])
def test_a_broken_description_is_passed_over(
    store: EngineStore, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored(store)
    (store.folder / "broken.json").write_text(text)
    assert [entry.key for entry in store.entries()] == [KEY]
    assert "broken.json" in caplog.text


def test_files_are_for_this_user_only(store: EngineStore) -> None:
    entry = stored(store)
    assert store.folder.stat().st_mode & 0o077 == 0
    assert entry.path.stat().st_mode & 0o077 == 0
    assert sorted(os.listdir(store.folder)) == [f"{KEY.id}.engine", f"{KEY.id}.json"]


def test_extras_come_back_unless_they_were_changed(store: EngineStore) -> None:
    assert store.read_extra("x.timing") is None
    store.write_extra("x.timing", b"timings")
    assert store.read_extra("x.timing") == b"timings"
    file = store.folder / "x.timing"
    file.write_bytes(file.read_bytes()[:-1])
    assert store.read_extra("x.timing") is None


def test_extras_that_others_could_have_written_are_not_read(store: EngineStore) -> None:
    store.write_extra("x.timing", b"timings")
    (store.folder / "x.timing").chmod(0o620)
    assert store.read_extra("x.timing") is None


def test_extras_that_cannot_be_kept_are_no_matter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    with caplog.at_level(logging.INFO):
        EngineStore(tmp_path / "file" / "engines").write_extra("x.timing", b"timings")
    assert "cannot be kept" in caplog.text


def test_clearing_removes_what_the_store_wrote_and_nothing_else(store: EngineStore) -> None:
    stored(store)
    store.write_extra(f"{KEY.id}.kernels", b"kernels")
    store.write_extra("tensorrt-10.3.0-NVIDIA_X__sm86__driver_12.6.timing", b"timings")
    store.write_extra("tensorrt_rtx-1.2.0.54-ampere+.timing", b"timings")
    others = ["notes.txt", "package.json", "yolo.engine", "cuda.kernels", "run.timing", ".new-idea.md"]
    for name in others:
        (store.folder / name).touch()
    assert store.clear() == 5
    assert sorted(os.listdir(store.folder)) == sorted(others)
    assert store.clear() == 0


def test_clearing_removes_what_a_killed_write_left_behind(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "unlink", lambda self, missing_ok=False: None)  # killed before it could
    monkeypatch.setattr(os, "replace", lambda old, new: os.stat("/nowhere"))
    with pytest.raises(OSError, match="nowhere"):
        store.write(KEY, b"engine", "tiny")
    monkeypatch.undo()
    assert len(os.listdir(store.folder)) == 1
    assert store.clear() == 1
    assert os.listdir(store.folder) == []


def test_a_write_that_fails_leaves_nothing_behind(
    store: EngineStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", lambda old, new: os.stat("/nowhere"))
    with pytest.raises(OSError, match="nowhere"):
        store.write(KEY, b"engine", "tiny")
    assert os.listdir(store.folder) == []


@pytest.mark.parametrize("before", ["/vehicle/engines", None])
def test_engines_are_kept_elsewhere_for_a_while_only(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISTILL_PERCEPTION_CACHE", raising=False)
    if before:
        monkeypatch.setenv("DISTILL_PERCEPTION_CACHE", before)
    usual = EngineStore().folder
    with engines_kept_in(tmp_path):
        assert EngineStore().folder == tmp_path
    assert EngineStore().folder == usual != tmp_path


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISTILL_PERCEPTION_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert EngineStore().folder == tmp_path / "distill_perception" / "engines"
    monkeypatch.setenv("DISTILL_PERCEPTION_CACHE", "/vehicle/engines")
    assert EngineStore().folder == Path("/vehicle/engines")


def test_a_folder_that_others_write_is_refused_before_an_engine_there_is_never_used(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o775)
    with pytest.raises(OSError, match=rf"{tmp_path}/shared: .*others can write it.*chmod go-w"):
        EngineStore(tmp_path / "shared").write(KEY, b"engine", "tiny")
    assert list((tmp_path / "shared").iterdir()) == []
