"""Tables of every key that a recipe may have, from the classes that check recipes (docs/recipes.md)."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from distill_perception.markdown import markdown_table
from distill_perception.strict import StrictModel
from training.distillation.schedule import Schedule

Model = type[StrictModel]
_PLAIN = {Path: "path", str: "text", int: "int", float: "float", bool: "bool", Any: "any"}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def recipe_tables(*roots: tuple[str, Model]) -> str:
    """Markdown: the keys of each kind of recipe, then those of each section in it, under its dotted path.

    A section that several places have is described at the first.
    """
    seen: set[Model] = set()
    parts = []
    for title, root in roots:
        seen.add(root)
        heading = "### " if root is roots[0][1] else f"### {title}: "
        parts += [f"## {title}", _table(_rows(root.model_fields)), *_sections(root, "", heading, seen)]
    return "\n\n".join(parts)


def _sections(model: Model, path: str, heading: str, seen: set[Model]) -> Iterator[str]:
    for key, field in model.model_fields.items():
        place = f"{path}.{key}" if path else key
        inner = [
            kind for kind in _models(field.annotation) if not any(issubclass(other, kind) for other in seen)
        ]
        seen.update(inner)
        if len(inner) == 1:
            yield f"{heading}`{place}`\n\n{_summary(inner[0])}\n\n{_table(_rows(inner[0].model_fields))}"
        elif inner:
            yield f"{heading}`{place}`\n\n{_variants(inner)}"
        for kind in inner:
            yield from _sections(kind, place, heading, seen)


def _variants(models: list[Model]) -> str:
    """Several forms, told apart by the key that is a literal: what all have, and what each has more."""
    tag = next(
        key for key, field in models[0].model_fields.items() if get_origin(field.annotation) is Literal
    )
    common = [key for key in models[0].model_fields if all(_same(key, model, models[0]) for model in models)]
    rows = []
    for model in models:
        name = get_args(model.model_fields[tag].annotation)[0]
        own = {key: field for key, field in model.model_fields.items() if key not in (*common, tag)}
        rows.append([f"`{tag}: {name}`", "", "", _summary(model)])
        rows += _rows(own)
    shared = _rows({key: models[0].model_fields[key] for key in common})
    return _table([*shared, *rows])


def _same(key: str, model: Model, other: Model) -> bool:
    mine, theirs = model.model_fields.get(key), other.model_fields.get(key)
    return mine is not None and theirs is not None and repr(mine) == repr(theirs)


def _rows(fields: dict[str, FieldInfo]) -> list[list[str]]:
    return [[f"`{key}`", _type(field), _default(field), _meaning(field)] for key, field in fields.items()]


def _meaning(field: FieldInfo) -> str:
    inner = list(_models(field.annotation))
    return field.description or (_summary(inner[0]) if len(inner) == 1 else "")


def _table(rows: list[list[str]]) -> str:
    text = markdown_table(["key", "value", "default", "meaning"], rows, left=4)
    return re.sub(r"<(?=\w)", "&lt;", text)  # `miou/<name>` is no HTML


def _summary(model: Model) -> str:
    """What a class says of itself, in one line; a loss says it where its equation is."""
    text = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]
    return " ".join(text.split())


def _type(field: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(item, name)}"
        for item in field.metadata
        for name, sign in _SIGNS.items()
        if getattr(item, name, None) is not None
    ]
    return ", ".join([_name(field.annotation), *limits])


def _name(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _name(inner[0])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        names = dict.fromkeys(_name(item) for item in inner if item is not type(None))
        return " or ".join([*names, *(["null"] if type(None) in inner else [])])
    if origin is tuple and inner[-1] is not Ellipsis:
        return "[" + ", ".join(_name(item) for item in inner) + "]"
    if origin is dict:
        return f"mapping of {_name(inner[0])} to {_name(inner[1])}"
    if origin in (list, tuple):
        return f"list of {_name(inner[0])}".replace("of section", "of sections")
    if isinstance(kind, type) and issubclass(kind, Schedule):
        return "float or schedule"
    if isinstance(kind, type) and issubclass(kind, StrictModel):
        return "section"
    return _PLAIN[origin or kind]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, Schedule) and value.start == value.end:
        return f"`{value.start:g}`"
    if isinstance(value, StrictModel):
        return "see below"
    if isinstance(value, tuple):
        value = list(value)
    return "`null`" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _models(kind: Any) -> Iterator[Model]:
    if isinstance(kind, type) and issubclass(kind, StrictModel):
        if not issubclass(kind, Schedule):
            yield kind
    elif get_origin(kind) is not Literal:
        for inner in get_args(kind):
            yield from _models(inner)
