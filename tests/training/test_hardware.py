"""What trainings run on: a precision that the processor has."""

from __future__ import annotations

import platform
import warnings
from pathlib import Path

import pytest
import torch

from training.hardware import Hardware, best_precision

CPU = Hardware(accelerator="cpu")


def processor(monkeypatch: pytest.MonkeyPatch, avx512_bf16: bool = False, amx: bool = False) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="flags of other processors have other names")
def test_bf16_is_taken_just_where_the_kernel_lists_its_instructions() -> None:
    flags = Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    has = "avx512_bf16" in flags or "amx_tile" in flags
    assert best_precision(on_gpu=False) == ("bf16" if has else "32")


@pytest.mark.parametrize(
    ("avx512_bf16", "amx", "expected"),
    [(False, False, "32-true"), (True, False, "bf16-mixed"), (False, True, "bf16-mixed")],
)
def test_auto_asks_lightning_for_what_the_cpu_is_fast_at(
    monkeypatch: pytest.MonkeyPatch, avx512_bf16: bool, amx: bool, expected: str
) -> None:
    processor(monkeypatch, avx512_bf16, amx)
    assert CPU.trainer_options("auto")["precision"] == expected


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp16")])
def test_gpus_before_ampere_get_fp16(monkeypatch: pytest.MonkeyPatch, native: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert best_precision(on_gpu=True) == expected


def test_bf16_that_is_only_imitated_is_done_as_told_and_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch)
    with pytest.warns(UserWarning, match="only imitates bf16.*'auto' takes what is fast"):
        assert CPU.trainer_options("bf16")["precision"] == "bf16-mixed"
    processor(monkeypatch, avx512_bf16=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CPU.trainer_options("bf16")
