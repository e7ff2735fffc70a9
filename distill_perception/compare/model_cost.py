"""What a network costs, as `model.json` in a run folder says: size, arithmetic, measured time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from ..strict import StrictModel, describe_validation_error
from .errors import CompareError

MODEL_COST_NAME = "model.json"


class ModelCost(StrictModel):
    """The whole of `model.json`; what is not known is left out."""

    parameters: Annotated[int | None, Field(ge=0, description="trainable values")] = None
    macs: Annotated[int | None, Field(ge=0, description="multiply-adds of one frame")] = None
    input: Annotated[
        tuple[int, int] | None, Field(description="height, width that macs and latency are of")
    ] = None
    latency_ms: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="median ms a frame, by 'engine, device, precision'"
    )
    machine: Annotated[str, Field(description="what latency was measured on")] = ""


def read_model_cost(folder: Path) -> ModelCost:
    """The costs that a run recorded; empty if it recorded none.

    Raises:
        CompareError: `model.json` is there but not valid.
    """
    path = folder / MODEL_COST_NAME
    if not path.is_file():
        return ModelCost()
    try:
        return ModelCost.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise CompareError(f"{path}: {describe_validation_error(error)}") from error


def write_model_cost(folder: Path, cost: ModelCost) -> None:
    """Write `model.json` into a run folder."""
    text = json.dumps(cost.model_dump(mode="json", exclude_defaults=True), indent=2) + "\n"
    (folder / MODEL_COST_NAME).write_text(text)
