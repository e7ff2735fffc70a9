"""Pretrained weights: pip packages, local files with published names, and what is said when none fit."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from training.errors import TrainingError
from training.models.encoders import build_encoder

# Names and shapes from torchvision's published files: first layer, a depthwise one, SE, the classifier.
PUBLISHED = {
    "mobilenet_v2": {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.1.conv.0.0.weight": (32, 1, 3, 3),
        "features.2.conv.1.0.weight": (96, 1, 3, 3),
        "features.17.conv.2.weight": (320, 960, 1, 1),
        "features.17.conv.3.running_var": (320,),
    },
    "mobilenet_v3_small": {
        "features.0.0.weight": (16, 3, 3, 3),
        "features.1.block.1.fc1.weight": (8, 16, 1, 1),
        "features.4.block.1.0.weight": (96, 1, 5, 5),
        "features.11.block.3.1.running_mean": (96,),
    },
    "mobilenet_v3_large": {
        "features.4.block.2.fc2.bias": (72,),
        "features.15.block.3.0.weight": (160, 960, 1, 1),
    },
    "squeezenet1_1": {
        "features.0.bias": (64,),
        "features.3.squeeze.weight": (16, 64, 1, 1),
        "features.12.expand3x3.weight": (256, 64, 3, 3),
    },
}
CLASSIFIER = {
    "mobilenet_v2": ("features.18.0.weight", "classifier.1.weight"),
    "mobilenet_v3_small": ("features.12.0.weight", "classifier.0.weight", "classifier.3.bias"),
}


def published_state(name: str) -> dict[str, Tensor]:
    """A state-dict as published: the encoder's tensors, drawn anew, and a classifier."""
    state = {
        key: torch.rand(value.shape) if value.is_floating_point() else value
        for key, value in build_encoder(name).state_dict().items()
    }
    return {**state, **{key: torch.rand(3, 3) for key in CLASSIFIER[name]}}


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameters_have_torchvisions_names_and_shapes(name: str) -> None:
    with torch.device("meta"):
        state = build_encoder(name).state_dict()
    assert {key: tuple(state[key].shape) for key in PUBLISHED[name]} == PUBLISHED[name]


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite2"])
def test_pip_weights_fit_and_give_sane_activations(name: str) -> None:
    encoder = build_encoder(name, pretrained=True).eval()
    with torch.inference_mode():
        features = encoder(torch.rand(1, 3, 64, 96) * 2 - 1)
    assert all(0.05 < f.std().item() < 20 for f in features)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", sorted(CLASSIFIER))
def test_a_local_file_fills_the_encoder_and_its_classifier_is_passed_over(
    tmp_path: Path, name: str, suffix: str
) -> None:
    state = published_state(name)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": state}, path)
    else:
        save_file(state, path)
    loaded = build_encoder(name, pretrained=path).state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in loaded)


def test_squeezenets_extra_module_keeps_its_own_start(tmp_path: Path) -> None:
    state = build_encoder("squeezenet1_1").state_dict()
    published = {key: value + 1 for key, value in state.items() if key.startswith("features.")}
    torch.save(published, tmp_path / "squeezenet.pth")
    loaded = build_encoder("squeezenet1_1", pretrained=tmp_path / "squeezenet.pth").state_dict()
    assert torch.equal(loaded["features.0.bias"], published["features.0.bias"])
    assert loaded["coarse.1.squeeze.weight"].std() > 0


def test_a_file_without_batch_counters_fits(tmp_path: Path) -> None:
    state = {k: v for k, v in published_state("mobilenet_v2").items() if "num_batches" not in k}
    torch.save(state, tmp_path / "old.pth")
    build_encoder("mobilenet_v2", pretrained=tmp_path / "old.pth")


def test_what_does_not_fit_is_counted_and_named(tmp_path: Path) -> None:
    state = published_state("mobilenet_v2")
    state["module.features.0.0.weight"] = state.pop("features.0.0.weight")
    state["features.0.1.bias"] = torch.zeros(7)
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(TrainingError) as caught:
        build_encoder("mobilenet_v2", pretrained=tmp_path / "w.pth")
    message = str(caught.value)
    assert "w.pth does not fit mobilenet_v2" in message
    assert "1 missing (features.0.0.weight)" in message
    assert "1 unknown (module.features.0.0.weight)" in message
    assert "1 of another shape (features.0.1.bias)" in message


def test_weights_of_another_width_do_not_fit(tmp_path: Path) -> None:
    torch.save(published_state("mobilenet_v2"), tmp_path / "w.pth")
    with pytest.raises(TrainingError, match="of another shape"):
        build_encoder("mobilenet_v2", 0.5, tmp_path / "w.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere\.pth does not exist"):
        build_encoder("mobilenet_v2", pretrained=tmp_path / "nowhere.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_file_that_is_no_weights_file_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(TrainingError, match=f"cannot read weights .*{name}") as caught:
        build_encoder("mobilenet_v2", pretrained=tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_holds_something_else_is_told(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(TrainingError, match="holds no state-dict"):
        build_encoder("mobilenet_v2", pretrained=tmp_path / "list.pth")


def test_imagenet_weights_that_no_package_carries_are_asked_for_by_path() -> None:
    with pytest.raises(TrainingError, match="no pip package carries ImageNet weights of mobilenet_v2"):
        build_encoder("mobilenet_v2", pretrained=True)


def test_imagenet_weights_need_width_one() -> None:
    with pytest.raises(TrainingError, match=r"width multiplier 1, not 0\.5"):
        build_encoder("efficientnet_lite0", 0.5, pretrained=True)
