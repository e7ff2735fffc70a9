"""Strict pydantic models for files that people write: unknown keys are refused, with the nearest name."""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator


class StrictModel(BaseModel):
    """Frozen model that names the key that was probably meant for an unknown one; in paths `~` is home."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            known = list(cls.model_fields)
            problems = [
                f"unknown key '{key}' ({did_you_mean(key, known, 'known keys')})"
                for key in data
                if key not in known
            ]
            if problems:
                raise ValueError("; ".join(problems))
        return data

    @field_validator("*")
    @classmethod
    def _expand_home(cls, value: Any) -> Any:
        return Path(os.path.expanduser(value)) if isinstance(value, Path) else value


def did_you_mean(name: object, known: Iterable[str], all_of_them: str = "known") -> str:
    """Words that help after a wrong name: the nearest right one, or all of them."""
    names = list(known)
    nearest = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"did you mean '{nearest[0]}'?" if nearest else f"{all_of_them}: {', '.join(names) or 'none'}"


def describe_validation_error(error: ValidationError) -> str:
    """One line a person can act on: `classes.0.color: Field required; name: unknown key ...`."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {message}" if where else message)
    return "; ".join(lines)
