"""The recipe's list of distillation losses.

distillation:
  - {name: kl, weight: 1.0, temperature: {start: 8, end: 1, shape: cosine}}
  - {name: cwd, weight: 3.0, student: decoder, teacher: decode_head.linear_fuse}
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Union

from pydantic import BeforeValidator, Field

from training.distillation.losses.registry import TERMS


def _name_is_known(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    name = entry.get("name")
    if name not in TERMS:
        nearest = difflib.get_close_matches(str(name), TERMS, n=1, cutoff=0.5)
        hint = f"did you mean '{nearest[0]}'?" if nearest else f"known losses: {', '.join(TERMS)}"
        problem = "no name" if name is None else f"unknown loss '{name}'"
        raise ValueError(f"{problem} ({hint})")
    return entry


LossEntry = Annotated[
    Annotated[Union[tuple(term.Spec for term in TERMS.values())], Field(discriminator="name")],
    BeforeValidator(_name_is_known),
]
LossEntries = Annotated[list[LossEntry], Field(description="losses that compare student and teacher")]
