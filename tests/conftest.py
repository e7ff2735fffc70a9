"""What every test may ask for."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.drives import write_folder

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Keep what the machine is doing besides out of the tests.

    Hypothesis would time its examples; started with signals ignored (nohup, some CI runners), processes under
    test would inherit that, but no handler.
    """
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first: processes that share the tests out then end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def camvid_val() -> Path:
    """The CamVid validation drive: 101 labelled frames. Not part of the project, so perhaps absent."""
    places = [ROOT / "data", ROOT.parent / "shared" / "data"]
    if os.environ.get("DISTILL_PERCEPTION_DATA"):
        places.insert(0, Path(os.environ["DISTILL_PERCEPTION_DATA"]))
    for place in places:
        if (place / "camvid" / "val" / "images").is_dir():
            return place / "camvid" / "val"
    reason = "real-data tests NOT RUN: put CamVid in data/camvid, or its parent in DISTILL_PERCEPTION_DATA"
    warnings.warn(reason, stacklevel=1)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled folder."""
    return write_folder(tmp_path_factory.mktemp("drive") / "folder")


@pytest.fixture(scope="session")
def labelled_bag(drive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The labelled folder as a bag."""
    from distill_perception.bags.labelled_folder import read_labelled_folder
    from distill_perception.bags.writer import BagOptions, write_bag

    folder = read_labelled_folder(drive)
    path = tmp_path_factory.mktemp("bags") / "labelled"
    write_bag(path, folder.frames(), BagOptions(rate_hz=20), folder.class_names)
    return path
