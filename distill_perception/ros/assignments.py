"""What is wrong with a parameter on the command line, NAME:=VALUE; ROS tells where its parser has stopped."""

from __future__ import annotations

import re

import yaml

from ..errors import first_line

# libyaml, by which ROS reads values, where PyYAML has it: PyYAML's own parser is stricter with tabs.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_REFUSED = re.compile(r"Couldn't parse parameter override rule: '\S+ (.*)'\. Error: ", re.DOTALL)


def problem_with_assignment(text: str) -> str | None:
    """Say what is wrong with NAME:=VALUE or NODE:NAME:=VALUE, or None where it can be read as YAML."""
    if not re.fullmatch(r"(\w+:)?[a-z_][\w./]*:=.+", text, re.ASCII | re.IGNORECASE | re.DOTALL):
        return f"'{text}' is not NAME:=VALUE, as in score_threshold:=0.5"
    name, value = _name_and_value(text)
    try:
        for _ in yaml.parse(value, Loader=_LOADER):
            pass
    except yaml.YAMLError as error:
        reason = getattr(error, "problem", None) or first_line(error)
        return (
            f"parameter '{name}': {value!r} is not valid YAML ({reason}); close its brackets and quotes, or "
            f"put a text in double quotes: -p '{name}:=\"TEXT\"'"
        )
    return None


def refused_by_ros(error: Exception) -> str | None:
    """What is wrong with the assignment that `rclpy.init` has refused, or None if it has refused none."""
    refused = _REFUSED.search(str(error))
    if not refused:
        return None
    if problem := problem_with_assignment(refused[1]):
        return problem
    name, value = _name_and_value(refused[1])
    return (
        f"parameter '{name}' cannot be {value!r}: values are a bool, a number, a text, or a list of one of "
        f"these; put a text that looks otherwise in double quotes: -p '{name}:=\"TEXT\"'"
    )


def _name_and_value(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":=")
    return name.rpartition(":")[2], value
