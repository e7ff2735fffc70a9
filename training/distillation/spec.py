"""The recipe's list of distillation losses.

distillation:
  - {name: kl, weight: 1.0, temperature: {start: 8, end: 1, shape: cosine}}
  - {name: cwd, weight: 3.0, student: decoder, teacher: decode_head.linear_fuse}
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Union

from pydantic import BeforeValidator, Field

from distill_perception.strict import did_you_mean
from training.distillation.losses.base import LOGITS, FeatureSpec, TermSpec
from training.distillation.losses.registry import TERMS


def _name_is_known(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    name = entry.get("name")
    if name not in TERMS:
        problem = "no name" if name is None else f"unknown loss '{name}'"
        raise ValueError(f"{problem} ({did_you_mean(name, TERMS, 'known losses')})")
    return entry


LossEntry = Annotated[
    Annotated[Union[tuple(term.Spec for term in TERMS.values())], Field(discriminator="name")],
    BeforeValidator(_name_is_known),
]
LossEntries = Annotated[list[LossEntry], Field(description="losses that compare student and teacher")]


def refuse_teacher_maps(entries: Sequence[TermSpec]) -> None:
    """Refuse what a teacher's cache cannot serve.

    Raises:
        ValueError: entries that look into the teacher; its cache holds what comes out of it.
    """
    inside = [
        f"distillation.{index} ({entry.name})"
        for index, entry in enumerate(entries)
        if isinstance(entry, FeatureSpec) and entry.teacher != LOGITS
    ]
    if inside:
        outputs = ", ".join(name for name, term in TERMS.items() if not term.needs_features)
        raise ValueError(
            f"teacher.cache holds the teacher's outputs, but {', '.join(inside)} compare its feature maps: "
            f"remove teacher.cache, so that the teacher runs in every step, or use losses on outputs "
            f"({outputs}, or `teacher: logits`)"
        )
