"""The shipped students on a rendered drive, in real time through the real node: needs no data set."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.replay.conftest import command
from tests.support.environ import ROOT, with_checkout

pytestmark = pytest.mark.slow
FRAMES, RATE_HZ = 75, 15


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drive")
    line = [sys.executable, "-m", "training", "synthetic", "--out", str(folder / "frames"), "--seed", "900"]
    line += ["--size", "480x360", "--frames", str(FRAMES), "--scenes", "5", "--rate", str(RATE_HZ)]
    subprocess.run(line, check=True, capture_output=True, env=with_checkout(), timeout=120)
    made = command("bag", folder / "frames", folder / "bag", "--rate", RATE_HZ)
    assert made.code == 0, made.err
    return folder / "bag"


@pytest.mark.parametrize("name", ["camvid_lite0", "camvid_lite0_small"])
def test_it_keeps_up_with_the_camera_and_sees(drive: Path, name: str, tmp_path: Path) -> None:
    done = command("replay", drive, "--bundle", ROOT / "models" / name, "--out", tmp_path, timeout=120)
    assert done.code == 0, done.err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    (counts,) = metrics["node_counters"].values()
    assert (metrics["frames"], metrics["lost_on_the_way"]) == (FRAMES, 0)
    assert metrics["dropped"] == counts["dropped_overwritten"] + counts["dropped_stale"]
    assert metrics["dropped"] <= 3  # none on two idle cores
    assert metrics["miou"] > 0.6
    assert metrics["map50"] > 0.35
    assert {"report.html", "overlay.mp4"} <= {path.name for path in tmp_path.iterdir()}
