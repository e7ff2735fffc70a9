"""The `teacher:` section of a recipe.

teacher: {run: runs/camvid_teacher}

teacher:
  huggingface: nvidia/segformer-b5-finetuned-cityscapes-1024-1024   # hub id or folder
  size: image
  mapping: {bicyclist: [rider, bicycle], car: [car, truck, bus]}
  tta: {flip: true, scales: [1.0, 1.5]}
  cache: {folder: caches, limit_gb: 20}

teacher:
  ensemble:
    - {run: runs/a, weight: 2}
    - {huggingface: ./my_checkpoint}
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from distill_perception.strict import StrictModel
from training.home import PlaceOrName

Task = Literal["auto", "semantic", "universal", "detection"]


class AugmentationSpec(StrictModel):
    """Test-time augmentation: the mean over flips and scales of the frame."""

    flip: bool = Field(True, description="add the mirrored frame")
    scales: tuple[float, ...] = Field((1.0,), min_length=1, description="sizes of the frame, 1 as it is")

    @field_validator("scales")
    @classmethod
    def _positive(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        if min(scales) <= 0:
            raise ValueError("scales are positive, 1.0 is the frame as it is")
        return scales


class CacheSpec(StrictModel):
    """Where a teacher's answers are kept, so that each frame costs it one pass.

    Training with it takes the answers to whole, unchanged frames and moves them as it moves the frames; see
    `training.teachers.cache`.
    """

    folder: Path = Field(description="shared by all machines of a training")
    limit_gb: float = Field(20.0, gt=0, description="above it the oldest answers are dropped, in 1e9 bytes")


class MemberSpec(StrictModel):
    """One network: a run trained here, or a Hugging Face checkpoint."""

    run: Path | None = Field(None, description="folder of a finished run")
    huggingface: PlaceOrName | None = Field(None, description="checkpoint folder or hub id")
    revision: str | None = Field(None, description="branch, tag or commit of a hub id")
    task: Task = Field("auto", description="what the checkpoint does; auto reads it from its config")
    mapping: dict[str, list[str]] = Field(
        {}, description="student class -> teacher classes, where names do not tell; [] if it does not know it"
    )
    size: Literal["checkpoint", "image"] | tuple[int, int] = Field(
        "checkpoint",
        description="what the checkpoint sees: its own input size, the frame's (rounded up to multiples "
        "of 32), or height, width",
    )
    tta: AugmentationSpec | None = Field(None, description="test-time augmentation")
    weight: float = Field(1.0, gt=0, description="share of this member in an ensemble's mean")

    @field_validator("mapping", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, mapping: Any) -> Any:
        if isinstance(mapping, dict):
            return {key: [value] if isinstance(value, str) else value for key, value in mapping.items()}
        return mapping

    @model_validator(mode="after")
    def _consistent(self) -> MemberSpec:
        _require_one_kind(self, ("run", "huggingface"))
        _require_checkpoint_keys_apart(self)
        return self


class TeacherSpec(MemberSpec):
    """The network or networks to learn from."""

    ensemble: list[MemberSpec] | None = Field(None, min_length=2, description="several teachers, averaged")
    cache: CacheSpec | None = Field(None, description="keep answers on disk; a folder, or folder and limit")

    @field_validator("cache", mode="before")
    @classmethod
    def _a_folder_is_enough(cls, cache: Any) -> Any:
        return {"folder": cache} if isinstance(cache, str | Path) else cache

    @model_validator(mode="after")
    def _consistent(self) -> TeacherSpec:
        _require_one_kind(self, ("run", "huggingface", "ensemble"))
        _require_checkpoint_keys_apart(self)
        if self.ensemble is not None:
            _require_member_keys_apart(self, self.ensemble)
        return self


def _require_one_kind(spec: MemberSpec, kinds: tuple[str, ...]) -> None:
    given = [kind for kind in kinds if getattr(spec, kind) is not None]
    if len(given) != 1:
        found = "both " + " and ".join(given) if given else "none of them"
        raise ValueError(f"give one of {', '.join(kinds)}; there is {found}")


def _require_checkpoint_keys_apart(spec: MemberSpec) -> None:
    if spec.huggingface is None:
        for key in ("revision", "task", "size"):
            if _is_given(spec, key):
                raise ValueError(f"{key} belongs to huggingface")
    elif not _sees_scales(spec, spec.tta):
        raise ValueError("tta.scales needs `size: image`: otherwise every scale is resized to the same input")


def _require_member_keys_apart(spec: TeacherSpec, members: list[MemberSpec]) -> None:
    for key in ("mapping", "weight"):
        if _is_given(spec, key):
            raise ValueError(f"{key} beside ensemble says nothing: each member of the ensemble has its own")
    for index, member in enumerate(members):
        if not _sees_scales(member, spec.tta):
            raise ValueError(
                f"tta.scales needs `size: image` in ensemble.{index}: otherwise every scale is "
                "resized to the same input there"
            )


def _is_given(spec: MemberSpec, key: str) -> bool:
    return bool(getattr(spec, key) != MemberSpec.model_fields[key].default)


def _sees_scales(spec: MemberSpec, tta: AugmentationSpec | None) -> bool:
    """Whether another scale of the frame is another input of the network."""
    return spec.huggingface is None or spec.size == "image" or tta is None or tta.scales == (1.0,)


def title(spec: MemberSpec) -> str:
    """The teacher in a few words, for manifests and provenance: run name, checkpoint, `a + b`."""
    if isinstance(spec, TeacherSpec) and spec.ensemble is not None:
        return " + ".join(title(member) for member in spec.ensemble)
    return spec.run.name if spec.run is not None else str(spec.huggingface)
