"""Scoring a finished run anew."""

import json
import shutil
from pathlib import Path

from typer.testing import CliRunner

from tests.support.tiny_training import tiny_recipe, write_color_blocks
from training.cli import app
from training.run_folder import PROVENANCE, RESULT
from training.train import train


def test_scores_are_those_of_training_until_the_data_changes(tmp_path: Path) -> None:
    recipe = tiny_recipe(
        write_color_blocks(tmp_path / "t", 4, 1), write_color_blocks(tmp_path / "v", 2, 2), epochs=1
    )
    run = tmp_path / "run"
    train(recipe, run)
    before = json.loads((run / RESULT).read_text())

    again = CliRunner().invoke(app, ["evaluate", str(run)])
    assert again.exit_code == 0
    assert json.loads((run / RESULT).read_text()) == before

    shutil.rmtree(tmp_path / "v")
    write_color_blocks(tmp_path / "v", 2, 3)
    CliRunner().invoke(app, ["evaluate", str(run)])
    after = json.loads((run / RESULT).read_text())
    assert after["metrics"]["miou/blocks"] != before["metrics"]["miou/blocks"]
    assert (after["epochs"], after["minutes"]) == (before["epochs"], before["minutes"])
    provenance = json.loads((run / PROVENANCE).read_text())
    assert set(provenance["evaluated"]) == {"command", "git_hash", "date"}
    assert provenance["seed"] == recipe.seed
