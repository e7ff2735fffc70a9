"""Parameters and multiply-accumulates of networks, as rows and as a table for the terminal.

Convention: one MAC is one multiplication with its addition, as papers on small networks count ("MAdds"); a
FLOP count in the sense of `torch.utils.flop_counter` is twice that. Convolutions and matrix products are
counted; normalization (folded into the convolution before it when exported), activation, resizing, pooling
and the decoding of boxes are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from training.models.decoders import DECODERS
from training.models.encoders import ENCODERS
from training.models.multi_task import MultiTaskNet, count_parameters
from training.models.shapes import Shapes, cut_to
from training.models.spec import ModelSpec


@dataclass(frozen=True)
class Row:
    """Cost of one network for one frame.

    Attributes:
        parameters: trainable values.
        encoder_macs, decoder_macs, head_macs: multiply-accumulates; heads of all tasks together.
        stride: of the segmentation logits.
    """

    name: str
    encoder: str
    decoder: str
    parameters: int
    encoder_macs: int
    decoder_macs: int
    head_macs: int
    stride: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole network."""
        return self.encoder_macs + self.decoder_macs + self.head_macs


def count_macs(module: nn.Module, *inputs: object) -> int:
    """Multiply-accumulates of `module(*inputs)`, see the convention above. Meta tensors will do."""
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        module(*inputs)
    return int(counter.get_total_flops()) // 2


def model_row(
    name: str,
    spec: ModelSpec,
    classes: int,
    things: int,
    size: tuple[int, int],
    shapes: Shapes | None = None,
) -> Row:
    """Cost of the network that a recipe's model section describes; nothing is computed, no weights are read.

    Args:
        name: the recipe's, empty if it has none.
        classes, things: number of classes and of thing classes among them.
        size: height, width of the frame in pixels.
        shapes: of a pruned network.

    Raises:
        TrainingError: the section names what does not exist.
    """
    bare = spec.model_copy(update={"pretrained": False})
    with torch.device("meta"):
        net = MultiTaskNet(bare, classes, range(things)).eval()
        if shapes is not None:
            cut_to(net, shapes)
        frame = torch.empty(1, 3, *size)
    with torch.inference_mode():
        features = net.encoder(frame)
        joined = net.decoder(features)
    heads = [head for head in (net.head, net.detection_head) if head is not None]
    width = "" if spec.width_multiplier == 1 else f" x{spec.width_multiplier:g}"
    return Row(
        name=name,
        encoder=spec.encoder + width,
        decoder=_describe(spec),
        parameters=count_parameters(net),
        encoder_macs=count_macs(net.encoder, frame),
        decoder_macs=count_macs(net.decoder, features),
        head_macs=sum(count_macs(head, joined) for head in heads),
        stride=net.stride,
    )


def _describe(spec: ModelSpec) -> str:
    """Decoder's name with the options that matter, for example `fpn 96 dense`."""
    options = spec.decoder.model_dump(exclude={"name"})
    parts = [spec.decoder.name, str(options.pop("width"))]
    for key, value in options.items():
        if value is True:
            parts.append(key)
        elif type(value) is int and value > 0:
            parts.append(f"{key} {value}")
    return " ".join(parts)


def family() -> list[ModelSpec]:
    """Every encoder with the light pyramid, then every decoder on EfficientNet-Lite0, for both tasks."""
    both = {"tasks": ("segmentation", "detection"), "pretrained": False}
    light = {"name": "fpn", "width": 64}
    others = [name for name in DECODERS if name != "fpn"]
    return [
        *(ModelSpec(encoder=encoder, decoder=light, **both) for encoder in ENCODERS),
        *(ModelSpec(decoder={"name": decoder}, **both) for decoder in others),
    ]


def render(rows: Iterable[Row], size: tuple[int, int]) -> Table:
    """The rows as a table of 80 columns; `size` is the height and width that they were counted at."""
    table = Table(
        title=f"Networks at {size[1]}x{size[0]}",
        caption="GMACs: 10^9 multiply-accumulates, all and by part; FLOPs are twice as many",
        box=SIMPLE_HEAD,
    )
    table.add_column("network", overflow="fold")
    for number in ("params M", "GMACs", "encoder", "decoder", "heads", "stride"):
        table.add_column(number, justify="right", no_wrap=True)
    for row in rows:
        parts = (row.macs, row.encoder_macs, row.decoder_macs, row.head_macs)
        network = f"{row.encoder}\n+ {row.decoder}"
        table.add_row(
            f"{row.name}\n{network}" if row.name else network,
            f"{row.parameters / 1e6:.2f}",
            *(f"{part / 1e9:.2f}" for part in parts),
            str(row.stride),
        )
    return table
