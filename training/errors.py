"""Errors of the offline half; each message says what, where and what to do."""

from __future__ import annotations

from distill_perception.errors import PerceptionError


class TrainingError(PerceptionError):
    """A recipe, data set or checkpoint cannot be used as given."""


class TrainingWarning(UserWarning):
    """Something that a training goes on without; the commands show its text alone, as they do errors."""


class GateError(TrainingError):
    """What was to be shipped does not answer as the network does, or loses more than its budget.

    precision: of the form that does, as a bundle names it.
    """

    def __init__(self, message: str, precision: str = "") -> None:
        super().__init__(message)
        self.precision = precision
