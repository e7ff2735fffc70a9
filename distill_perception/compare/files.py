"""Reading what runs wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from .errors import CompareError


def read_mapping(path: Path) -> dict[str, Any]:
    """A JSON or YAML file that holds keys and values.

    Raises:
        CompareError: not readable, not valid, or not a mapping; names the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        loaded = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CompareError(f"{path}: cannot be read ({error})") from error
    except (ValueError, yaml.YAMLError) as error:
        raise CompareError(f"{path}: is damaged ({' '.join(str(error).split())})") from error
    if not isinstance(loaded, dict):
        raise CompareError(f"{path}: must hold keys and values, found {type(loaded).__name__}")
    return loaded
