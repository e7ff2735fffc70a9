"""Which GPUs an engine is built for, as one word for both libraries.

`this-gpu`  the GPU of this machine, and best for it: the model, and the newest CUDA version that its driver
            supports, which many drivers share; for RTX `smXX`, where it knows that one
`ampere+`   every GPU from Ampere (compute capability 8.0) on
`sm86`      every GPU of compute capability 8.6 (or 75, 87, 89, ...)

Neither of the other two names a driver; one that cannot load an engine refuses it, and it is built anew.
"""

from __future__ import annotations

import re
from typing import Any

from ...errors import EngineError
from .cuda import Gpu
from .library import Library

THIS_GPU = "this-gpu"
AMPERE_PLUS = "ampere+"


def targets_of(library: Library, gpu: Gpu) -> tuple[str, ...]:
    """What engines for this GPU may be stored under, best first; the first is what `this-gpu` stores."""
    portable = (f"sm{gpu.sm}", *((AMPERE_PLUS,) if gpu.sm >= 80 else ()))
    # TensorRT picks kernels by timing them on the one GPU model; RTX goes by compute capability alone.
    if library.is_rtx and f"SM{gpu.sm}" in library.trt.ComputeCapability.__members__:
        return portable
    return (f"{gpu.name}, sm{gpu.sm}, driver {gpu.driver}", *portable)


def stored_target(target: str, library: Library, gpu: Gpu | None) -> str:
    """What an engine for `target` is stored under.

    Raises:
        EngineError: no such target, or this library cannot build for it here.
    """
    if target == THIS_GPU:
        if gpu is None:
            raise EngineError("target 'this-gpu': this machine has no NVIDIA GPU; name another target")
        return targets_of(library, gpu)[0]
    if target != AMPERE_PLUS and not re.fullmatch(r"sm\d{2,3}", target):
        raise EngineError(
            f"target '{target}' is not known; use {THIS_GPU}, {AMPERE_PLUS}, or sm86 and the like"
        )
    if library.is_rtx:
        known = [name for name in library.trt.ComputeCapability.__members__ if name.startswith("SM")]
        if target != AMPERE_PLUS and target.upper() not in known:
            raise EngineError(f"target '{target}': {library} knows {', '.join(known).lower()}")
    elif gpu is None or (target != AMPERE_PLUS and target != f"sm{gpu.sm}"):
        here = "none" if gpu is None else f"{gpu.name}, sm{gpu.sm}"
        raise EngineError(
            f"target '{target}': {library} builds only on a GPU of the kind it builds for (here: {here}); "
            "build there, or with tensorrt_rtx"
        )
    elif gpu.sm < 80 and target == AMPERE_PLUS:
        raise EngineError(f"target '{target}': must be built on Ampere or newer, {gpu.name} is older")
    elif target != AMPERE_PLUS and not hasattr(
        library.trt.HardwareCompatibilityLevel, "SAME_COMPUTE_CAPABILITY"
    ):
        raise EngineError(
            f"target '{target}': needs TensorRT 10.9 or newer, {library} is here; use {THIS_GPU}"
        )
    return target


def has_float8(stored: str) -> bool:
    """Whether every GPU of a target, as `stored_target` returns it, computes in FP8: from Ada (8.9) on."""
    named = re.search(r"\bsm(\d+)", stored)
    return named is not None and int(named[1]) >= 89


def apply_target(config: Any, stored: str, library: Library) -> None:
    """Set a builder configuration to a target as `stored_target` returns it."""
    trt = library.trt
    if library.is_rtx:
        if stored == AMPERE_PLUS:
            return  # RTX's default
        config.num_compute_capabilities = 1
        named = getattr(trt.ComputeCapability, stored.upper(), trt.ComputeCapability.CURRENT)
        config.set_compute_capability(named, 0)
    elif stored == AMPERE_PLUS:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    elif stored.startswith("sm"):
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY
