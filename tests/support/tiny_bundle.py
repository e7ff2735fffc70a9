"""A bundle small enough for every test, whose graph does something that can be foretold.

Segmentation: the class of a pixel is its largest channel in model order (0 red, 1 green, 2 blue for rgb;
the first on ties), its confidence that channel's value. Detection: always the same BOXES, scores and labels.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from distill_perception.bundle import (
    ClassInfo,
    InputSpec,
    Manifest,
    Metric,
    ModelFile,
    Provenance,
    sha256_of,
    write_manifest,
)

CLASSES = (
    ClassInfo(id=0, name="red", color=(255, 0, 0), kind="stuff"),
    ClassInfo(id=1, name="green", color=(0, 255, 0), kind="thing"),
    ClassInfo(id=2, name="blue", color=(0, 0, 255), kind="thing"),
)
BOX_SHARES = np.array([[0.25, 0.25, 0.5, 0.75], [0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.75, 1.0]], np.float32)
SCORES = np.array([0.9, 0.5, 0.1], np.float32)
LABELS = np.array([2, 1, 2], np.int64)


def box_pixels(height: int, width: int) -> np.ndarray:
    """The boxes that the graph reports: float32 [3,4] x1,y1,x2,y2 in input pixels."""
    return BOX_SHARES * np.float32([width, height, width, height])


def write_tiny_bundle(
    folder: Path,
    tasks: Sequence[str] = ("segmentation",),
    height: int = 48,
    width: int = 64,
    *,
    name: str = "tiny",
    channel_order: str = "rgb",
    resize: str = "letterbox",
    confidence_stride: int = 1,
    metadata_classes: Sequence[str] | None = ("red", "green", "blue"),
    work: int = 0,
) -> Path:
    """Write a bundle into `folder` (made where missing) and return it.

    Args:
        folder: the bundle's folder.
        tasks: `segmentation`, `detection` or both.
        height: of the model's input.
        width: of the model's input.
        name: the bundle's name.
        channel_order: of the model's input.
        resize: `letterbox` or `stretch`.
        confidence_stride: the confidence's resolution is the input's divided by this.
        metadata_classes: the class names that the graph's metadata holds; None leaves them out.
        work: this many 3x3 convolutions that change nothing, for tests that need a slow model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = tiny_model(tasks, height, width, confidence_stride, metadata_classes, work)
    file = folder / "student.onnx"
    onnx.save(model, str(file))
    manifest = Manifest.model_validate(
        {
            "name": name,
            "version": "0.0.1",
            "description": "largest channel",
            "tasks": tuple(tasks),
            "classes": CLASSES,
            "void_id": 3,
            "input": InputSpec.model_validate(
                {"height": height, "width": width, "channel_order": channel_order, "resize": resize}
            ),
            "precisions": {"fp32": ModelFile(file=file.name, sha256=sha256_of(file))},
            "provenance": Provenance(data="none", recipe="tests/support/tiny_bundle.py", seed=0),
            "metrics": (Metric(name="miou", value=1.0, data="coloured squares", command="make test"),),
            "license": "Apache-2.0",
        }
    )
    write_manifest(folder, manifest)
    return folder


def tiny_model(
    tasks: Sequence[str] = ("segmentation",),
    height: int = 48,
    width: int = 64,
    confidence_stride: int = 1,
    metadata_classes: Sequence[str] | None = ("red", "green", "blue"),
    work: int = 0,
) -> onnx.ModelProto:
    """The graph of `write_tiny_bundle`."""
    nodes: list[Any] = [
        helper.make_node("Cast", ["images"], ["raw"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["raw"], ["planes0"], perm=[0, 3, 1, 2]),
    ]
    constants: dict[str, np.ndarray] = {}
    outputs = []
    if work:
        kernel = np.zeros((3, 3, 3, 3), np.float32)
        kernel[range(3), range(3), 1, 1] = 1.0
        constants["kernel"] = kernel
    for step in range(work):
        nodes.append(
            helper.make_node("Conv", [f"planes{step}", "kernel"], [f"planes{step + 1}"], pads=[1, 1, 1, 1])
        )
    planes = f"planes{work}"
    if "segmentation" in tasks:
        stride = [confidence_stride, confidence_stride]
        nodes += [
            helper.make_node("ArgMax", [planes], ["ids"], axis=1, keepdims=0),
            helper.make_node("Cast", ["ids"], ["mask"], to=TensorProto.UINT8),
            helper.make_node("MaxPool", [planes], ["pooled"], kernel_shape=stride, strides=stride),
            helper.make_node("ReduceMax", ["pooled"], ["strongest"], axes=[1], keepdims=0),
            helper.make_node("Cast", ["strongest"], ["confidence"], to=TensorProto.UINT8),
        ]
        small = ["N", height // confidence_stride, width // confidence_stride]
        outputs += [
            helper.make_tensor_value_info("mask", TensorProto.UINT8, ["N", height, width]),
            helper.make_tensor_value_info("confidence", TensorProto.UINT8, small),
        ]
    if "detection" in tasks:
        constants |= {
            "all_boxes": box_pixels(height, width)[None],
            "all_scores": SCORES[None],
            "all_labels": LABELS[None],
            "first": np.array([0], np.int64),
            "three": np.array([3], np.int64),
            "four": np.array([4], np.int64),
        }
        nodes += [
            helper.make_node("Shape", [planes], ["shape"]),
            helper.make_node("Gather", ["shape", "first"], ["count"], axis=0),
            helper.make_node("Concat", ["count", "three", "four"], ["boxes_shape"], axis=0),
            helper.make_node("Concat", ["count", "three"], ["row_shape"], axis=0),
            helper.make_node("Expand", ["all_boxes", "boxes_shape"], ["boxes"]),
            helper.make_node("Expand", ["all_scores", "row_shape"], ["scores"]),
            helper.make_node("Expand", ["all_labels", "row_shape"], ["labels"]),
        ]
        outputs += [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", 3, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["N", 3]),
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", height, width, 3])],
        outputs,
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if metadata_classes is not None:
        helper.set_model_props(model, {"classes": json.dumps(list(metadata_classes))})
    onnx.checker.check_model(model)
    return model
