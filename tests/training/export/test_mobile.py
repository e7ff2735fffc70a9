"""A run as ExecuTorch and LiteRT file: each one's own runtime is asked before the file is left behind."""

from __future__ import annotations

import importlib.util
import signal
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.export import ExportedProgram

from tests.support.tiny_nets import tiny_net
from tests.support.tiny_training import untrained_run
from training.errors import TrainingError
from training.export import mobile
from training.export.mobile import write_mobile

PACKAGES = {".pte": "executorch", ".tflite": "litert_torch"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    net = tiny_net()
    assert net.detection_head is not None
    with torch.no_grad():  # untrained, every place has the same score: any is the best
        net.detection_head.heatmap[-1].weight.mul_(1e4)
    return untrained_run(tmp_path_factory.mktemp("mobile"), net)


@pytest.mark.parametrize("suffix", PACKAGES)
def test_the_files_own_runtime_says_what_torch_says(run: Path, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip(PACKAGES[suffix], reason=f"LOUD: {suffix} NOT TESTED: {PACKAGES[suffix]} is missing")
    parity = write_mobile(run, tmp_path / f"student{suffix}")
    assert parity.mask_agreement == pytest.approx(1, abs=1e-3)
    assert parity.box_agreement == pytest.approx(1, abs=2e-2)
    assert (tmp_path / f"student{suffix}").stat().st_size > 10_000


@pytest.mark.parametrize("suffix", PACKAGES)
def test_a_missing_package_is_named(run: Path, tmp_path: Path, suffix: str) -> None:
    if importlib.util.find_spec(PACKAGES[suffix]):
        pytest.skip(f"{PACKAGES[suffix]} is installed here")
    with pytest.raises(TrainingError, match=f"pip install {PACKAGES[suffix].replace('_', '-')}"):
        write_mobile(run, tmp_path / f"student{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_runtime_that_says_something_else_leaves_no_file(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(program: ExportedProgram, file: Path) -> mobile.Infer:
        file.write_bytes(b"graph")
        network = program.module()

        def upside_down(frame: np.ndarray) -> list[np.ndarray]:
            with torch.inference_mode():
                return [part.numpy() for part in network(torch.from_numpy(frame[None, ::-1].copy()))]

        return upside_down

    monkeypatch.setitem(mobile.FORMATS, ".pte", ("ExecuTorch", "executorch", convert))
    with pytest.raises(TrainingError, match=r"ExecuTorch .*nothing was written"):
        write_mobile(run, tmp_path / "student.pte")
    assert not list(tmp_path.iterdir())


def test_simulated_int8_is_no_part_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: set[str] = set()

    def convert(program: ExportedProgram, file: Path) -> mobile.Infer:
        kinds.update(str(node.target) for node in program.graph.nodes)
        network = program.module()
        file.write_bytes(b"graph")
        return lambda frame: [part.detach().numpy() for part in network(torch.from_numpy(frame[None]))]

    monkeypatch.setitem(mobile.FORMATS, ".pte", ("ExecuTorch", "executorch", convert))
    write_mobile(untrained_run(tmp_path, qat="asymmetric"), tmp_path / "student.pte")
    assert any("conv" in kind for kind in kinds)
    assert not [kind for kind in kinds if "fake_quant" in kind]


def test_an_unknown_suffix_is_answered_with_the_known_ones(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"student\.bin: .*\.pte \(ExecuTorch\), \.tflite \(LiteRT\)"):
        write_mobile(run, tmp_path / "student.bin")


def test_an_interrupt_that_the_tracing_swallows_ends_the_export(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swallowing(*_: object) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(torch.export, "export", swallowing)
    with pytest.raises(KeyboardInterrupt):
        write_mobile(run, tmp_path / "student.pte")
    assert not list(tmp_path.iterdir())
