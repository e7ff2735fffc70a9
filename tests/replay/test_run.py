"""The results folder of a replay."""

from pathlib import Path

import pytest

from distill_perception.errors import ReplayError
from distill_perception.replay import run
from distill_perception.replay.run import ReplayOptions, replay


def test_a_failed_replay_leaves_no_results_of_an_earlier_one(
    labelled_bag: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ReplayOptions(labelled_bag, str(tiny), tmp_path / "out", in_process=True)
    replay(options)
    (tmp_path / "out" / "notes.txt").write_text("mine")

    def fails(*arguments: object) -> None:
        raise ReplayError("the node died")

    monkeypatch.setattr(run, "perceive_bag", fails)
    with pytest.raises(ReplayError, match="the node died"):
        replay(options)

    assert [file.name for file in (tmp_path / "out").iterdir()] == ["notes.txt"]


def test_results_that_cannot_be_removed_are_named(labelled_bag: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "metrics.json").mkdir(parents=True)

    with pytest.raises(ReplayError, match=r"metrics\.json: cannot be made or emptied.*--out"):
        replay(ReplayOptions(labelled_bag, str(tiny), tmp_path / "out", in_process=True))
