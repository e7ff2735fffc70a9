"""Records say what they were measured on."""

import os

import pytest

from distill_perception.machine import cpus, describe_cpu, describe_machine

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Gold 6430
flags\t\t: fpu sse4_2 avx2 avx512f avx512_vnni avx512_bf16
"""
EPYC = """processor\t: 0
model name\t: AMD EPYC 7763 64-Core Processor
flags\t\t: fpu avx avx2 fma
processor\t: 1
model name\t: AMD EPYC 7763 64-Core Processor
flags\t\t: fpu avx avx2 fma
"""
ORIN = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes asimdhp asimddp\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (XEON, "Intel(R) Xeon(R) Gold 6430, AVX-512 VNNI"),
        (EPYC, "AMD EPYC 7763 64-Core Processor, AVX2"),
        (ORIN, "NEON with dot products"),
        ("", ""),
    ],
)
def test_model_and_best_instructions_are_read_from_the_kernels_list(cpuinfo: str, expected: str) -> None:
    assert describe_cpu(cpuinfo) == expected


def test_cpus_are_those_that_the_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert cpus() == 1
        assert describe_machine().endswith("1 CPUs")
    finally:
        os.sched_setaffinity(0, allowed)
