"""Decoders by name. `fpn`, `bifpn` and `two_branch` are made for students, the others for teachers."""

from __future__ import annotations

from collections.abc import Sequence

from training.models.decoders.base import Decoder
from training.models.decoders.bifpn import BifpnDecoder
from training.models.decoders.deeplabv3plus import DeepLabV3PlusDecoder
from training.models.decoders.fcn8s import Fcn8sDecoder
from training.models.decoders.fpn import FpnDecoder
from training.models.decoders.segnet import SegNetDecoder
from training.models.decoders.two_branch import TwoBranchDecoder
from training.models.spec import DecoderSpec

__all__ = ["DECODERS", "Decoder", "build_decoder"]

DECODERS: dict[str, type[Decoder]] = {
    "fpn": FpnDecoder,
    "bifpn": BifpnDecoder,
    "two_branch": TwoBranchDecoder,
    "fcn8s": Fcn8sDecoder,
    "segnet": SegNetDecoder,
    "deeplabv3plus": DeepLabV3PlusDecoder,
}


def build_decoder(spec: DecoderSpec, channels: Sequence[int]) -> Decoder:
    """The decoder that a recipe's `model.decoder` section asks for, on encoder maps of these widths."""
    return DECODERS[spec.name](channels, **spec.model_dump(exclude={"name"}))
