"""The graph that is deployed: camera pixels in, class ids, confidence and boxes out, all work inside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from distill_perception.bundle import GRAPH_INPUT, METADATA_CLASSES, TASK_OUTPUTS
from distill_perception.manifest import Task
from distill_perception.signals import signals_wait
from training.models.detection.decode import decode_detections
from training.models.multi_task import MultiTaskNet
from training.models.outputs import Outputs, upsample

OPSET = 18


class DeployedNet(nn.Module):
    """`forward(images uint8 [N,H,W,3] RGB)` -> the bundle contract's outputs, in its order.

    Segmentation: mask uint8 [N,H,W], confidence uint8 [N,H/s,W/s], the largest softmax probability x 255 at
    the head's own resolution. Detection: boxes float32 [N,K,4], scores float32 [N,K], labels int64 [N,K].
    TensorRT has uint8 only at the very ends of a graph: casts come first and last.
    """

    def __init__(self, model: MultiTaskNet, max_detections: int = 100) -> None:
        super().__init__()
        self.model = model
        self.max_detections = max_detections

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What the network does, in the contract's order."""
        heads: dict[Task, nn.Module | None] = {
            "segmentation": self.model.head,
            "detection": self.model.detection_head,
        }
        return tuple(task for task, head in heads.items() if head is not None)

    def raw(self, images: Tensor) -> Outputs:
        """Logits and detection maps of uint8 frames."""
        out: Outputs = self.model(images.float().permute(0, 3, 1, 2))
        return out

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        out = self.raw(images)
        height, width = images.shape[1], images.shape[2]
        results: tuple[Tensor, ...] = ()
        if out.logits is not None:
            # Rows of pixels side by side: OpenVINO's argmax is ten times as fast on this layout (FP32).
            full = upsample(out.logits, height, width).flatten(2)
            mask = full.argmax(1).reshape(-1, height, width).to(torch.uint8)
            confidence = (out.logits.softmax(1).amax(1) * 255).round().to(torch.uint8)
            results += (mask, confidence)
        if out.detection is not None:
            results += decode_detections(out.detection, self.model.things, height, width, self.max_detections)
        return results


def write_onnx(
    net: DeployedNet, classes: Sequence[str], size: tuple[int, int], path: Path, optimize: bool = True
) -> None:
    """Write the deployed graph with a dynamic batch and the class names in its metadata.

    Args:
        net: trained network; set to eval mode and contiguous layout, its activations no longer in place.
        classes: names in order of id.
        size: height, width of the graph's input.
        optimize: fold batch norms into convolutions, constants into one, and drop what does nothing.
    """
    deployed = net.to(memory_format=torch.contiguous_format).eval()
    for module in deployed.modules():  # saves memory in training only, and costs a third of an export's time
        if getattr(module, "inplace", False):
            module.inplace = False
    example = torch.zeros(2, *size, 3, dtype=torch.uint8)
    with signals_wait():  # torch would take their exception for one of its own
        program = torch.onnx.export(
            deployed,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            optimize=optimize,
            input_names=[GRAPH_INPUT],
            output_names=[name for task in net.tasks for name in TASK_OUTPUTS[task]],
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
