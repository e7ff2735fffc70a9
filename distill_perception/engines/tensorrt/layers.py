"""What TensorRT makes of a network: the layers of the built engine, as the builder's log has them.

They are what the engine's inspector says in one line each, but that needs a loaded engine and with it a GPU;
RTX builds, and writes its log, without.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path

from ...bundle import Bundle
from ...errors import EngineError
from .build import BuildRequest, build_engine
from .cuda import find_gpu
from .library import Library
from .store import EngineStore
from .targets import AMPERE_PLUS, THIS_GPU

_KIND = re.compile(r"^Name: .*?, LayerType: (\w+)", re.MULTILINE)
_ORDER_ONLY = ("signal", "wait")  # between streams: nothing is computed


def count_layers(bundle: Bundle, precision: str, library: Library) -> Counter[str]:
    """Layers by kind of the engine for this machine's GPU; where there is none, for Ampere and newer.

    Raises:
        EngineError: the library cannot build it here, or does not tell.
        BundleError: see `build_engine`.
    """
    try:
        gpu = find_gpu("cuda")
    except EngineError:
        gpu = None
    request = BuildRequest(bundle, precision, target=AMPERE_PLUS if gpu is None else THIS_GPU)
    told: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        store = EngineStore(Path(scratch) / "engines")
        key = request.key(library, gpu)
        build_engine(request, key, library, store, lambda *_: None, tell_layers=told.append)
    kinds = Counter(kind for kind in _KIND.findall("\n".join(told)) if kind not in _ORDER_ONLY)
    if not kinds:
        raise EngineError(f"{library} does not tell the layers of its engines")
    return kinds
