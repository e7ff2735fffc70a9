"""By what bundles are compared for speed."""

from pathlib import Path

import pytest

from distill_perception.bundle import load_bundle
from tests.support.tiny_bundle import write_tiny_bundle
from training.compression import latency
from training.compression.latency import Candidate, latencies_ms


def test_one_slow_frame_does_not_make_a_bundle_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = load_bundle(write_tiny_bundle(tmp_path / "bundle"))
    taken = [[3.0, 1.0, 90.0, 2.0, 4.0], [7.0, 8.0, 6.0, 0.1, 9.0]]
    monkeypatch.setattr(latency, "take_turns", lambda calls, rounds: taken[: len(calls)])
    assert latencies_ms([Candidate(bundle), Candidate(bundle)], "onnxruntime", 5) == [3.0, 7.0]
