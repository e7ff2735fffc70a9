"""What every test may ask for."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_configure() -> None:
    """Started with Ctrl-C ignored (nohup, some CI runners), processes under test would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
