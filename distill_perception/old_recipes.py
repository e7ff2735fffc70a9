"""Keys of recipes that were recorded before they had the names of today."""

from __future__ import annotations

from typing import Any

_FPN = {"decoder_width": "width", "decoder_dense": "dense", "decoder_detail": "detail"}


def with_decoder(model: dict[str, Any]) -> dict[str, Any]:
    """A recipe's `model` section with the fpn decoder's keys where they are now, in `decoder`.

    `{decoder: null, decoder_width: 96}` becomes `{decoder: {name: fpn, width: 96}}`; a section that has a
    decoder stays as it is.
    """
    found = {new: model[old] for old, new in _FPN.items() if old in model}
    if not found or model.get("decoder") is not None:
        return model
    rest = {key: value for key, value in model.items() if key not in _FPN}
    return {**rest, "decoder": {"name": "fpn", **found}}
