"""Strict pydantic models for files that people write: unknown keys are refused, with the nearest name."""

import difflib
import os
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
            problems = [_unknown_key(key, known) for key in data if key not in known]
            if problems:
                raise ValueError("; ".join(problems))
        return data

    @field_validator("*")
    @classmethod
    def _expand_home(cls, value: Any) -> Any:
        return Path(os.path.expanduser(value)) if isinstance(value, Path) else value


def _unknown_key(key: object, known: list[str]) -> str:
    nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"known keys: {', '.join(known)}"
    return f"unknown key '{key}' ({hint})"


def describe_validation_error(error: ValidationError) -> str:
    """One line a person can act on: `classes.0.color: Field required; name: unknown key ...`."""
    lines = []
    for item in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {message}" if where else message)
    return "; ".join(lines)
