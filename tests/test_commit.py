"""Both halves name the commit of this checkout, and of no other."""

import subprocess
from pathlib import Path

import pytest

from distill_perception import commit
from distill_perception.commit import git_hash
from training import provenance


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit, where the package runs from."""
    identity = ("-c", "user.name=me", "-c", "user.email=me@localhost")
    (tmp_path / "file").write_text("first")
    for words in (("init", "-q"), ("add", "file"), (*identity, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, timeout=30)
    monkeypatch.setattr(commit, "_ROOT", tmp_path)
    return tmp_path


def test_both_halves_name_the_commit_and_whether_it_was_changed(checkout: Path) -> None:
    head = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    full = subprocess.run(head, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    assert (git_hash(), provenance.git_hash()) == (full[:12], full)
    (checkout / "file").write_text("second")
    assert (git_hash(), provenance.git_hash()) == (f"{full[:12]}+", f"{full}-dirty")


def test_a_repository_that_an_installed_package_lies_in_is_not_its_own(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = checkout / ".venv" / "site-packages"
    installed.mkdir(parents=True)
    monkeypatch.setattr(commit, "_ROOT", installed)
    assert (git_hash(), provenance.git_hash()) == (None, "unknown")
