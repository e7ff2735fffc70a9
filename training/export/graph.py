"""The graph that is deployed: camera pixels in, class ids and confidence out, all per-pixel work inside."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from distill_perception.bundle import GRAPH_INPUT, METADATA_CLASSES, TASK_OUTPUTS
from training.models.segmenter import Segmenter, upsample

OPSET = 18


class DeployedSegmenter(nn.Module):
    """`forward(images uint8 [N,H,W,3] RGB)` -> mask uint8 [N,H,W], confidence uint8 [N,H/4,W/4].

    Confidence is the largest softmax probability x 255 at the head's own resolution. The cast comes before
    the transpose, as TensorRT refuses a uint8 transpose.
    """

    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.model = model

    def logits(self, images: Tensor) -> Tensor:
        """Head logits float [N,C,H/4,W/4]."""
        logits: Tensor = self.model(images.float().permute(0, 3, 1, 2))
        return logits

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.logits(images)
        height, width = images.shape[1], images.shape[2]
        # Rows of pixels side by side: OpenVINO's argmax is ten times as fast on this layout (FP32).
        full = upsample(logits, height, width).flatten(2)
        mask = full.argmax(1).to(torch.uint8).reshape(-1, height, width)
        confidence = (logits.softmax(1).amax(1) * 255).round().to(torch.uint8)
        return mask, confidence


def write_onnx(model: Segmenter, classes: tuple[str, ...], size: tuple[int, int], path: Path) -> None:
    """Write the deployed graph with a dynamic batch and the class names in its metadata.

    Args:
        model: trained network; set to eval mode and contiguous layout.
        classes: names in order of id.
        size: height, width of the graph's input.
    """
    deployed = DeployedSegmenter(model.to(memory_format=torch.contiguous_format)).eval()
    example = torch.zeros(2, *size, 3, dtype=torch.uint8)
    program = torch.onnx.export(
        deployed,
        (example,),
        dynamo=True,
        opset_version=OPSET,
        input_names=[GRAPH_INPUT],
        output_names=list(TASK_OUTPUTS["segmentation"]),
        dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1, max=64)}},
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    for node in proto.graph.node:  # the exporter's own paths and stack traces do not belong in a shipped file
        del node.metadata_props[:]
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        del value.metadata_props[:]
    for entry in list(proto.metadata_props):
        proto.metadata_props.remove(entry)
    proto.metadata_props.add(key=METADATA_CLASSES, value=json.dumps(list(classes)))
    onnx.checker.check_model(proto)
    onnx.save(proto, str(path))
