"""The recipe's `model` section: encoder, decoder, tasks and heads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from distill_perception.old_recipes import with_decoder
from distill_perception.strict import StrictModel

Task = Literal["segmentation", "detection"]


class FpnSpec(StrictModel):
    """Light feature pyramid, stride 4, or 2 with a detail level."""

    name: Literal["fpn"] = "fpn"
    width: int = Field(96, ge=8, description="channels")
    dense: bool = Field(False, description="full 3x3 convolutions but at the finest level")
    detail: int = Field(0, ge=0, description="channels of a further level at stride 2; 0 for none")


class BifpnSpec(StrictModel):
    """Bidirectional feature pyramid, stride 4."""

    name: Literal["bifpn"]
    width: int = Field(64, ge=8, description="channels")
    repeats: int = Field(2, ge=0, description="bidirectional cells before the last top-down pass")


class TwoBranchSpec(StrictModel):
    """High-resolution branch at stride 8 beside the encoder's context, the fastest."""

    name: Literal["two_branch"]
    width: int = Field(64, ge=8, description="channels")
    blocks: int = Field(1, ge=1, description="residual blocks after each fusion")


class Fcn8sSpec(StrictModel):
    """FCN-8s, a teacher's decoder, stride 8."""

    name: Literal["fcn8s"]
    width: int = Field(128, ge=8, description="channels of the summed scores")
    hidden: int = Field(512, ge=8, description="channels of the two convolutions at stride 32")


class SegNetSpec(StrictModel):
    """SegNet's unpooling, a teacher's decoder, stride 2."""

    name: Literal["segnet"]
    width: int = Field(64, ge=8, description="channels of the last map")
    convs: int = Field(2, ge=1, description="convolutions after each unpooling")


class DeepLabV3PlusSpec(StrictModel):
    """DeepLabV3+, a teacher's decoder, stride 4."""

    name: Literal["deeplabv3plus"]
    width: int = Field(256, ge=8, description="channels")
    low_level: int = Field(48, ge=1, description="channels kept of the encoder's map at stride 4")
    dilations: tuple[int, ...] = Field((6, 12, 18), min_length=1, description="of the pyramid at stride 16")


DecoderSpec = Annotated[
    FpnSpec | BifpnSpec | TwoBranchSpec | Fcn8sSpec | SegNetSpec | DeepLabV3PlusSpec,
    Field(discriminator="name"),
]


class DetectionSpec(StrictModel):
    """The detection head and how its maps become boxes."""

    width: int = Field(64, ge=8, description="channels of the head")
    dense: bool = Field(False, description="full 3x3 convolutions in the head's two branches")
    max_detections: int = Field(100, ge=1, le=3840, description="boxes a frame; TensorRT sorts 3840 at most")


class ModelSpec(StrictModel):
    """The network."""

    encoder: str = Field(
        "efficientnet_lite0",
        description="efficientnet_lite0 to 4, mobilenet_v2, mobilenet_v3_large, mobilenet_v3_small or "
        "squeezenet1_1",
    )
    width_multiplier: float = Field(1.0, gt=0, description="scales the encoder's channels")
    pretrained: bool | Path = Field(
        True, description="start the encoder from ImageNet weights, or from this .pth or .safetensors file"
    )
    init: Path | None = Field(None, description="start the whole network from this finished run's weights")
    keep_zeros: bool = Field(
        False, description="weights that init holds as zero stay zero (a sparse network)"
    )
    qat: Literal["asymmetric", "symmetric"] | None = Field(
        None, description="train with INT8 simulated: activations with a zero point, or without"
    )
    qat_float_layers: tuple[str, ...] = Field(
        (), description="of qat: layers without, as they stay in FP32, by name or pattern: detection_head.*"
    )
    decoder: DecoderSpec = Field(FpnSpec(), description="by name, with its options; fpn if left out")
    dropout: float = Field(0.1, ge=0, lt=1, description="channel dropout before the classifier")
    freeze_norm: bool = Field(
        False, description="keep batch norm's means and variances as the network starts with"
    )
    tasks: tuple[Task, ...] = Field(("segmentation",), min_length=1, description="heads of the network")
    detection: DetectionSpec = Field(DetectionSpec(), description="used where tasks name detection")

    @model_validator(mode="before")
    @classmethod
    def _read_old_keys(cls, data: Any) -> Any:
        return with_decoder(data) if isinstance(data, dict) else data

    @model_validator(mode="after")
    def _check(self) -> ModelSpec:
        if self.qat_float_layers and self.qat is None:
            raise ValueError("qat_float_layers: of training with simulated INT8, which `qat` asks for")
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError("tasks: each task may be named once")
        return self

    def other_network(self, other: ModelSpec) -> list[str]:
        """Keys in which the network itself differs, not only how it is trained."""
        training = {"pretrained", "init", "keep_zeros", "qat", "qat_float_layers", "dropout", "freeze_norm"}
        keys = [key for key in type(self).model_fields if key not in training]
        return [key for key in keys if getattr(self, key) != getattr(other, key)]
