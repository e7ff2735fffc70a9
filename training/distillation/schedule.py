"""Numbers of a recipe that may change over the training: loss weights, temperatures."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from distill_perception.strict import StrictModel


class Schedule(StrictModel):
    """A plain number, or `{start: 8, end: 1, shape: cosine, window: [0, 0.5]}`.

    The value is `start` before the window (in shares of the training), `end` after it, and follows `shape`
    between.
    """

    start: float = Field(allow_inf_nan=False)
    end: float = Field(allow_inf_nan=False)
    shape: Literal["linear", "cosine"] = "linear"
    window: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def constant(cls, value: float) -> Schedule:
        """The same value always."""
        return cls(start=value, end=value)

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, data: Any) -> Any:
        if isinstance(data, (int, float)) and not isinstance(data, bool):
            return {"start": data, "end": data}
        if isinstance(data, (dict, Schedule)):
            return data
        raise ValueError("give a number, or {start, end, shape: linear | cosine, window: [from, to]}")

    @model_validator(mode="after")
    def _window_is_ordered(self) -> Schedule:
        begin, end = self.window
        if not 0 <= begin < end <= 1:
            raise ValueError(f"window: needs 0 <= from < to <= 1, not [{begin:g}, {end:g}]")
        return self

    @model_serializer(mode="wrap")
    def _constant_as_number(self, handler: SerializerFunctionWrapHandler) -> Any:
        return self.start if self.start == self.end else handler(self)

    def at(self, progress: float) -> float:
        """Value when the share `progress` (0..1) of the training is done."""
        begin, end = self.window
        share = min(1.0, max(0.0, (progress - begin) / (end - begin)))
        if self.shape == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return self.start + (self.end - self.start) * share


def _not_negative(schedule: Schedule) -> Schedule:
    if min(schedule.start, schedule.end) < 0:
        raise ValueError("must not be negative")
    return schedule


def _positive(schedule: Schedule) -> Schedule:
    if min(schedule.start, schedule.end) <= 0:
        raise ValueError("must be above 0")
    return schedule


Weight = Annotated[Schedule, AfterValidator(_not_negative)]
Temperature = Annotated[Schedule, AfterValidator(_positive)]
