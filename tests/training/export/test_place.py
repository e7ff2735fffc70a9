"""A bundle takes an older one's place; nothing else is written over, and nothing lost."""

import errno
import os
from pathlib import Path

import pytest

from distill_perception.manifest import MANIFEST_NAME, ModelFile, read_manifest, write_manifest
from tests.support.tiny_bundle import write_tiny_bundle
from training.errors import TrainingError
from training.export.place import check_place, put, scratch_beside, tell_lost_forms


def bundle(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True)
    (folder / MANIFEST_NAME).write_text(content)
    return folder


def test_what_a_symlink_leads_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    old, link = bundle(tmp_path / "v1", "old"), tmp_path / "current"
    link.symlink_to("v1")
    check_place(link)
    put(bundle(tmp_path / "scratch" / "current", "new"), link)
    assert link.is_symlink()
    assert (old / MANIFEST_NAME).read_text() == "new"
    assert not list((tmp_path / "scratch").iterdir())


def test_the_old_bundle_stays_where_the_new_one_cannot_be_moved(tmp_path: Path) -> None:
    out = bundle(tmp_path / "out", "old")
    with pytest.raises(OSError, match="gone"):
        put(tmp_path / "gone", out)
    assert (out / MANIFEST_NAME).read_text() == "old"


@pytest.mark.parametrize("name", ["my student", "_b", "stra\u00dfe", "b\n"])
def test_a_folder_whose_name_is_no_bundles_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be one: choose an --out of letters"):
        check_place(tmp_path / name)


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    check_place(tmp_path / "none")
    (tmp_path / "file").write_text("")
    for other in (tmp_path, tmp_path / "file"):
        with pytest.raises(TrainingError, match="is no bundle"):
            check_place(other)


def test_a_place_that_may_not_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # tests may be root's
    with pytest.raises(TrainingError, match="may not be written; choose another --out"):
        check_place(tmp_path / "none" / "b")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_place_without_room_is_named_and_left_clean(number: int, tmp_path: Path) -> None:
    out = tmp_path / "b"

    def write() -> None:
        with scratch_beside(out, ".export-") as scratch:
            (scratch / "half").write_text("")
            raise OSError(number, os.strerror(number))

    with pytest.raises(TrainingError, match=rf"cannot write {out}: {os.strerror(number)}.* free some space"):
        write()
    assert not list(tmp_path.iterdir())


def test_an_error_that_is_not_the_places_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), scratch_beside(tmp_path / "b", ".export-"):
        (tmp_path / "a picture").read_bytes()


def test_forms_that_a_replaced_bundle_loses_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = write_tiny_bundle(tmp_path / "b")
    manifest = read_manifest(old / MANIFEST_NAME)
    more = {form: ModelFile(file=f"{form}.onnx", sha256="0" * 64) for form in ("fp16", "int8")}
    wider = manifest.model_copy(update={"precisions": {**manifest.precisions, **more}})
    write_manifest(old, wider)
    tell_lost_forms(old, ["fp32", "int8", "fp16", "fp8"])
    tell_lost_forms(tmp_path / "none", ["fp32"])
    assert not capsys.readouterr().err
    tell_lost_forms(old, ["fp32"])
    said = capsys.readouterr().err
    assert f"replaces tiny {manifest.version} (fp32, fp16, int8); the new one lacks fp16, int8\n" in said
    assert said.count("\n") == 1
