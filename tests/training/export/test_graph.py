"""A tracing that swallows Ctrl-C ends the export all the same, once it is through."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.tiny_nets import CLASSES, SIZE, tiny_net
from training.export.graph import DeployedNet, write_onnx

NAMES = [str(index) for index in range(CLASSES)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_swallowed_interrupt_ends_the_export(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced, export = [], torch.onnx.export

    def swallowing(*arguments: Any, **options: Any) -> Any:
        with suppress(BaseException):
            signal.raise_signal(number)
        traced.append(export(*arguments, **options))
        return traced[0]

    def stop(number: int, frame: object) -> None:  # what SIGTERM does else would end the tests
        raise SystemExit

    monkeypatch.setattr(torch.onnx, "export", swallowing)
    before = signal.signal(number, stop)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            write_onnx(DeployedNet(tiny_net()), NAMES, SIZE, tmp_path / "net.onnx")
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
    assert caught.value.args == (number,)
    assert traced
    assert not list(tmp_path.iterdir())


def test_another_thread_than_the_main_one_may_export(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(write_onnx, DeployedNet(tiny_net()), NAMES, SIZE, tmp_path / "net.onnx").result()
    assert (tmp_path / "net.onnx").is_file()
