"""Loads a checkpoint folder or hub id: network, class names, preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from distill_perception.errors import first_line
from training.errors import TrainingError

if TYPE_CHECKING:
    from training.teachers.spec import MemberSpec

_TASK_OF_SUFFIX = {
    "ForSemanticSegmentation": "semantic",
    "ForUniversalSegmentation": "universal",
    "MaskFormerForInstanceSegmentation": "universal",
    "ForObjectDetection": "detection",
}
_AUTO_CLASS = {
    "semantic": "AutoModelForSemanticSegmentation",
    "universal": "AutoModelForUniversalSegmentation",
    "detection": "AutoModelForObjectDetection",
}


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        place: what to call it in messages.
        task: semantic, universal or detection.
        names: its classes, by channel.
        preprocessing: content of its preprocessor_config.json.
    """

    place: str
    task: str
    model: nn.Module
    names: tuple[str, ...]
    preprocessing: dict[str, Any]

    @property
    def config(self) -> dict[str, Any]:
        """The network's configuration as plain JSON values, without what says where it was read from."""
        config: dict[str, Any] = self.model.config.to_diff_dict()
        return {key: value for key, value in config.items() if not key.startswith("_")}


def load_checkpoint(spec: MemberSpec) -> Checkpoint:
    """Load what `spec.huggingface` names, in float32 and eval mode.

    Raises:
        TrainingError: transformers is not installed, nothing loadable there, ids of classes that are no
            channels, a task it was not trained for, or weights that the checkpoint lacks.
    """
    transformers = _import_transformers()
    place = f"teacher.huggingface: {spec.huggingface}"
    options = source_of(spec)
    try:
        config = transformers.AutoConfig.from_pretrained(**options)
        preprocessing = _preprocessing(options)
    except (OSError, ValueError) as error:
        raise TrainingError(f"{place}: {first_line(error)}; give a checkpoint folder or a hub id") from error
    task = _task(config, place) if spec.task == "auto" else spec.task
    names = _names(config, place)
    try:
        model, info = getattr(transformers, _AUTO_CLASS[task]).from_pretrained(
            **options, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise TrainingError(f"{place}: cannot load it for {task}: {first_line(error)}") from error
    if missing := sorted(info["missing_keys"]):
        raise TrainingError(
            f"{place} has no weights for {missing[0]} and {len(missing) - 1} more: it was not trained for "
            f"{task}; fine-tune it first or choose another checkpoint"
        )
    return Checkpoint(place, task, model.eval(), names, preprocessing)


def _import_transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise TrainingError(
            "teacher.huggingface needs transformers: pip install 'distill_perception[training]'"
        ) from error
    return transformers


def source_of(spec: MemberSpec) -> dict[str, str]:
    """What `from_pretrained` is to load: a folder if there is one of that name, else a hub id.

    Raises:
        TrainingError: it is written as a path, but there is no such folder.
    """
    source = str(spec.huggingface)
    folder = Path(source).expanduser()
    if source.startswith((".", "/", "~")) and not folder.is_dir():
        raise TrainingError(f"teacher.huggingface: {source} is not a folder")
    name = str(folder) if folder.is_dir() else source
    return {"pretrained_model_name_or_path": name, "revision": spec.revision or "main"}


def _preprocessing(options: dict[str, str]) -> dict[str, Any]:
    """preprocessor_config.json, or the image part of processor_config.json; no processor class is built."""
    from transformers.image_processing_base import ImageProcessingMixin

    config: dict[str, Any] = ImageProcessingMixin.get_image_processor_dict(**options)[0]
    return config


def _names(config: Any, place: str) -> tuple[str, ...]:
    """Names of its classes by channel."""
    ids = sorted(config.id2label)
    if ids != list(range(len(ids))):
        raise TrainingError(
            f"{place}: id2label of its config.json names the {len(ids)} ids {_listed(ids)}, but a network of "
            f"{len(ids)} channels has 0 to {len(ids) - 1}: number the classes by their channels there"
        )
    return tuple(str(config.id2label[index]) for index in ids)


def _listed(ids: list[int]) -> str:
    return ", ".join(map(str, ids)) if len(ids) < 8 else f"{ids[0]}, {ids[1]}, ... {ids[-1]}"


def _task(config: Any, place: str) -> str:
    architectures = config.architectures or []
    for name in architectures:
        for suffix, task in _TASK_OF_SUFFIX.items():
            if name.endswith(suffix):
                return task
    raise TrainingError(
        f"{place} is a {', '.join(architectures) or 'checkpoint without an architecture'}, no segmentation "
        f"or detection network; say teacher.task ({', '.join(_AUTO_CLASS)}) if it is one"
    )
