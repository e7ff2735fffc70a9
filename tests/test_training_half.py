"""Commands that the other half carries out."""

import pytest
from typer.testing import CliRunner

from distill_perception import training_half
from distill_perception.cli import app


def test_without_the_training_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_half, "find_spec", lambda name: None if name == "torch" else object())
    result = CliRunner().invoke(app, ["compress", "recipe.yaml"])
    assert result.exit_code == 2
    assert "distill_perception[training]" in result.stderr


def test_arguments_and_exit_status_are_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(app, ["compress", "nowhere.yaml", "--max-miou-drop", "2"])
    assert result.exit_code == 2
    assert "cannot read compress recipe nowhere.yaml" in capfd.readouterr().err
