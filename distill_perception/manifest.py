"""What a bundle's `manifest.yaml` says: the schema (version 1), reading and writing it."""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from .errors import BundleError
from .strict import StrictModel, describe_validation_error

SCHEMA_VERSION: Literal[1] = 1
MANIFEST_NAME = "manifest.yaml"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # of a bundle

Task = Literal["segmentation", "detection"]
Byte = Annotated[int, Field(ge=0, le=255)]


class ClassInfo(StrictModel):
    """One class; `color` is RGB."""

    id: Annotated[int, Field(ge=0, le=254)]
    name: Annotated[str, Field(min_length=1)]
    color: tuple[Byte, Byte, Byte]
    kind: Literal["thing", "stuff"]


class InputSpec(StrictModel):
    """How a camera picture becomes the graph's `images` uint8 [N,height,width,3].

    `batch` is N where the graph takes just that many frames; None where it takes any number.
    """

    height: Annotated[int, Field(ge=1, le=16384)]
    width: Annotated[int, Field(ge=1, le=16384)]
    batch: Annotated[int, Field(ge=1, le=64)] | None = None
    channel_order: Literal["rgb", "bgr"] = "rgb"
    resize: Literal["letterbox", "stretch"] = "letterbox"


class ModelFile(StrictModel):
    """One ONNX file of the bundle, for one precision."""

    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @field_validator("file")
    @classmethod
    def _stay_inside(cls, value: str) -> str:
        path = PurePosixPath(value)
        if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in value or ":" in value:
            raise ValueError(f"'{value}' must be a relative path inside the bundle, without '..'")
        return value


class Provenance(StrictModel):
    """Where the model comes from; empty fields mean that nobody knows."""

    data: str = ""
    recipe: str = ""
    git_hash: str = ""
    seed: int | None = None
    teacher: str = ""
    date: str = ""
    command: str = ""


class Metric(StrictModel):
    """A measured number, the data it was measured on, and the command that measures it again."""

    name: str
    value: float
    data: str = ""
    command: str = ""


class Manifest(StrictModel):
    """The whole of `manifest.yaml`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: Annotated[str, Field(pattern=NAME)]
    version: str
    description: str = ""
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    classes: Annotated[tuple[ClassInfo, ...], Field(min_length=1)]
    void_id: Byte | None = None
    input: InputSpec
    precisions: Annotated[dict[str, ModelFile], Field(min_length=1)]
    provenance: Provenance = Provenance()
    metrics: tuple[Metric, ...] = ()
    license: str

    @model_validator(mode="after")
    def _classes_are_a_list(self) -> "Manifest":
        ids = [item.id for item in self.classes]
        twice = [str(number) for number, count in Counter(ids).items() if count > 1]
        if twice:
            raise ValueError(f"class ids used twice: {', '.join(twice)}")
        if ids != list(range(len(ids))):
            raise ValueError(f"class ids must count up from 0 without gaps, in order; found {ids}")
        names = [name for name, count in Counter(self.class_names).items() if count > 1]
        if names:
            raise ValueError(f"class names used twice: {', '.join(names)}")
        if self.void_id is not None and self.void_id < len(ids):
            name = self.classes[self.void_id].name
            raise ValueError(f"void_id {self.void_id} is also the id of class '{name}'")
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names in the order of their ids."""
        return tuple(item.name for item in self.classes)


def read_manifest(path: Path) -> Manifest:
    """Read and validate a manifest file.

    Raises:
        BundleError: not readable, not YAML, of an unknown schema version, or not valid; names file and key.
    """
    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: cannot be read as text ({error})") from error
    except yaml.YAMLError as error:
        raise BundleError(f"{path}: is not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(data, dict):
        raise BundleError(f"{path}: must hold a mapping of keys to values, found {type(data).__name__}")
    version = data.get("schema_version")
    if version is None:
        raise BundleError(
            f"{path}: key 'schema_version' is missing; this release reads version {SCHEMA_VERSION}"
        )
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise BundleError(
            f"{path}: schema_version {version!r} is not known; this release reads version {SCHEMA_VERSION}: "
            "update distill_perception or export the bundle again"
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        raise BundleError(f"{path}: {describe_validation_error(error)}") from error


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write `manifest` as YAML to `path` (the file, or the bundle's folder)."""
    target = path / MANIFEST_NAME if path.is_dir() else path
    data = manifest.model_dump(mode="json")
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    target.write_text(text, encoding="utf-8")
