"""A bundle takes an older one's place; nothing else is written over, and nothing lost."""

from pathlib import Path

import pytest

from distill_perception.manifest import MANIFEST_NAME
from training.errors import TrainingError
from training.export.place import check_place, put


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
