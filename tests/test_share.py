import sys
from pathlib import Path

import pytest

import distill_perception.share as share
from distill_perception.errors import ConfigError


def pretend_installed(monkeypatch: pytest.MonkeyPatch, prefix: Path) -> None:
    """The package lies in `prefix`, as pip or colcon put it there; no checkout around it."""
    package = prefix / "lib" / "python3" / "site-packages" / "distill_perception"
    package.mkdir(parents=True)
    monkeypatch.setattr(share, "__file__", str(package / "share.py"))
    monkeypatch.setattr(sys, "prefix", str(prefix / "elsewhere"))


def test_a_checkout_brings_its_own_data() -> None:
    root = Path(__file__).resolve().parents[1]
    assert share.share_path("distill_perception") == root / "distill_perception"


def test_data_of_the_installation_around_the_package_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_installed(monkeypatch, tmp_path)
    models = tmp_path / "share" / "distill_perception" / "models"
    models.mkdir(parents=True)
    assert share.share_path("models") == models


def test_data_of_the_virtual_environment_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, tmp_path / "system")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    file = tmp_path / "venv" / "share" / "distill_perception" / "config" / "perception.yaml"
    file.parent.mkdir(parents=True)
    file.touch()
    assert share.share_path("config", "perception.yaml") == file


def test_missing_data_is_named_with_the_places_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_installed(monkeypatch, tmp_path)
    place = tmp_path / "share" / "distill_perception"
    place.mkdir(parents=True)
    with pytest.raises(ConfigError) as caught:
        share.share_path("models", "x")
    assert "'models/x' not found" in str(caught.value)
    assert str(place) in str(caught.value)
