"""What a measurement ran on, in a few words: instructions decide how fast a network is on a processor."""

import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# The kernel's flags, best first: INT8 is about twice as fast as FP32 with the first four, hardly without.
_INSTRUCTIONS = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "i8mm": "I8MM",
    "avx512f": "AVX-512",
    "avx2": "AVX2",
    "asimddp": "NEON with dot products",
    "asimd": "NEON",
}


def describe_machine() -> str:
    """Such as `Linux x86_64, AMD EPYC, AVX2, 2 CPUs`; leaves out what cannot be found."""
    known = describe_cpu(_CPUINFO.read_text()) if _CPUINFO.is_file() else platform.processor()
    parts = (f"{platform.system()} {platform.machine()}", known, f"{cpus()} CPUs")
    return ", ".join(part for part in parts if part)


def describe_cpu(cpuinfo: str) -> str:
    """Model and best vector instructions from the text of `/proc/cpuinfo`; empty if it names neither."""
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in cpuinfo.splitlines())
    }
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    best = next((name for flag, name in _INSTRUCTIONS.items() if flag in flags), "")
    return ", ".join(part for part in (fields.get("model name", ""), best) if part)


def cpus() -> int:
    """CPUs that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1
