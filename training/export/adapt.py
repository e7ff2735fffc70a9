"""A bundle made to one vehicle's measure: camera pixels straight into the graph, a fixed number of frames.

Resizing on the GPU spares a vehicle's CPU the work; a fixed batch is what some accelerators insist on. The
network itself and its weights stay as they are, in every precision, so no training run is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from distill_perception.bundle import (
    GRAPH_INPUT,
    Bundle,
    ModelFile,
    load_bundle,
    sha256_of,
    write_manifest,
)
from distill_perception.engines import EngineSettings, open_engine
from distill_perception.perceptor import Frame, Perceptor
from distill_perception.vision.geometry import PAD_VALUE, Letterbox, Size
from training.data.synthetic.render import render_drive
from training.data.synthetic.settings import DriveSettings
from training.errors import TrainingError
from training.export.forms import Form, forms_of
from training.export.parity import Answer, Parity, compare_answers
from training.export.place import check_place, put, scratch_beside, tell_lost_forms

FRAMES = 4
# OpenCV resizes in fixed point, the graph in float: pixels differ by a step, and with them masks' edges.
MIN_MASKS, MIN_BOXES = 0.99, 0.9
# Forms of 8 bits make more of such a step: it alone changes a quarter of INT8's detections by more than the
# comparison allows, and most of FP8's. The change to the graph is the same in every form, so the wider ones
# say whether it is right.
EIGHT_BITS = ("int8", "fp8")
MIN_MASKS_EIGHT_BITS = 0.97
CAMERA = "camera"  # first part of the added tensors' names


def adapt(bundle: Bundle, out: Path, camera: Size | None = None, batch: int | None = None) -> list[Parity]:
    """Write a changed copy of `bundle` to `out`, once every engine gives what it gave with the original.

    Args:
        camera: height, width of the camera's pictures, which become the graph's input; resizing, border and
            the way back to camera pixels are in the graph then.
        batch: frames that the graph takes at once, just so many.

    Returns:
        How each engine and precision agrees with the original on rendered frames.

    Raises:
        TrainingError: nothing to change, already changed, something else or `bundle` itself is at `out`, or
            the answers part; then nothing is written.
    """
    manifest = bundle.manifest
    if camera is None and batch is None:
        raise TrainingError("nothing to adapt: give a camera size, a batch, or both")
    if manifest.input.batch is not None:
        raise TrainingError(
            f"{bundle.path} has a fixed batch already; adapt the bundle that it was made from"
        )
    check_place(out)
    if out.exists() and out.samefile(bundle.path):
        raise TrainingError(f"{out} is what is adapted, and would be lost: choose another --out")
    tell_lost_forms(out, manifest.precisions)
    with scratch_beside(out, ".adapt-") as scratch:
        folder = scratch / out.name
        folder.mkdir()
        files = {}
        for precision, entry in manifest.precisions.items():
            model = onnx.load(str(bundle.model_path(precision)))
            if camera is not None:
                target = (manifest.input.height, manifest.input.width)
                take_camera_pixels(model, Letterbox.fit(camera, target, manifest.input.resize))
            if batch is not None:
                fix_batch(model, batch)
            onnx.checker.check_model(model)
            path = folder / Path(entry.file).name
            onnx.save(model, str(path))
            files[precision] = ModelFile(file=path.name, sha256=sha256_of(path))
        height, width = camera or (manifest.input.height, manifest.input.width)
        size = {"height": height, "width": width, "batch": batch}
        changes = {
            "name": out.name,
            "description": f"{manifest.description}; adapted from {manifest.name}, which the metrics are of",
            "input": manifest.input.model_copy(update=size),
            "precisions": files,
        }
        write_manifest(folder, manifest.model_copy(update=changes))
        changed = load_bundle(folder)
        drive = render_drive(DriveSettings(FRAMES, seed=1, scenes=FRAMES))
        pictures = [cv2.resize(frame.image[..., ::-1], (width, height)) for frame in drive]
        results = []
        for form in forms_of(bundle):
            before, after = (_see(item, form, pictures) for item in (bundle, changed))
            results.append(compare_answers(form.name, before, after))
            _require_agreement(results[-1], form.precision)
        put(folder, out)
    return results


def _require_agreement(result: Parity, precision: str) -> None:
    masks, boxes = (MIN_MASKS_EIGHT_BITS, 0.0) if precision in EIGHT_BITS else (MIN_MASKS, MIN_BOXES)
    for what, share, least in (
        ("masks", result.mask_agreement, masks),
        ("detections", result.box_agreement, boxes),
    ):
        if share is not None and share < least:
            raise TrainingError(
                f"{result.engine}: {what} agree with the original's to {share:.2%}, at least {least:.0%} "
                "wanted; nothing was written"
            )


def fix_batch(model: onnx.ModelProto, batch: int) -> None:
    """Make a graph of the bundle contract take `batch` frames, no more and no less; changes `model`."""
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.Clear()
        first.dim_value = batch
    del model.graph.value_info[:]  # it names the batch, and engines infer it again


def take_camera_pixels(model: onnx.ModelProto, box: Letterbox) -> None:
    """Make a graph of the bundle contract take pictures of `box.source` and answer in their pixels.

    What `Perceptor` does around the graph on the CPU: halving, linear resizing, a border, and back again.
    """
    if any(node.name.startswith(f"{CAMERA}/") for node in model.graph.node):
        raise TrainingError("it takes camera pixels already; adapt the bundle that it was made from")
    graph = _Editor(model.graph)
    pixels = graph.add("Cast", [GRAPH_INPUT], to=TensorProto.FLOAT)
    picture = graph.add("Transpose", [pixels], perm=[0, 3, 1, 2])
    height, width = box.source
    while height > 2 * box.height and width > 2 * box.width:
        picture = graph.resize(picture, (height, width), (height // 2, width // 2))
        height, width = height // 2, width // 2
    picture = graph.resize(picture, (height, width), (box.height, box.width))
    if not box.fills_target:
        bottom, right = box.target[0] - box.top - box.height, box.target[1] - box.left - box.width
        pads = np.array([0, 0, box.top, box.left, 0, 0, bottom, right], np.int64)
        picture = graph.add("Pad", [picture, graph.constant(pads), graph.constant(np.float32(PAD_VALUE))])
    graph.feed(graph.add("Transpose", [picture], perm=[0, 2, 3, 1]))
    graph.resize_input(box.source)
    if graph.has("mask"):
        rows = _nearest(box.source[0], box.top, box.height)
        columns = _nearest(box.source[1], box.left, box.width)
        graph.pick("mask", rows, columns)
        part = graph.shape_of("confidence")
        grid = np.indices(part).transpose(1, 2, 0)
        kept = box.content(grid)
        graph.pick("confidence", kept[:, 0, 0], kept[0, :, 1])
    if graph.has("boxes"):
        scale = np.array([box.source[1] / box.width, box.source[0] / box.height] * 2, np.float32)
        origin = np.array([box.left, box.top] * 2, np.float32)
        limit = np.array([box.source[1], box.source[0]] * 2, np.float32)
        inner = graph.take_output("boxes")
        for kind, value in (("Sub", origin), ("Mul", scale), ("Max", np.zeros(4, np.float32))):
            inner = graph.add(kind, [inner, graph.constant(value)])
        graph.add("Min", [inner, graph.constant(limit)], output="boxes")
    graph.finish()


def _scale(source: int, target: int) -> float:
    """float32 whose product with `source`, rounded down as ONNX's Resize does, is `target`."""
    scale = np.float32(target / source)
    while int(np.floor(np.float32(source) * scale)) < target:
        scale = np.nextafter(scale, np.float32(np.inf))
    return float(scale)


def _nearest(size: int, start: int, length: int) -> NDArray[np.int64]:
    """Index within the model's row or column that each of `size` camera pixels shows."""
    inside = np.arange(start, start + length, dtype=np.float32)[:, None]
    return cv2.resize(inside, (1, size), interpolation=cv2.INTER_NEAREST_EXACT).reshape(-1).astype(np.int64)


class _Editor:
    """Adds nodes before and after those of a graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._old = list(graph.node)
        self._before: list[onnx.NodeProto] = []
        self._after: list[onnx.NodeProto] = []
        self._fed = False
        self._count = 0

    def add(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """A node before the old ones until `feed` is called, behind them from then on; its output's name."""
        self._count += 1
        output = output or f"{CAMERA}/{kind}_{self._count}"
        node = helper.make_node(
            kind, list(inputs), [output], name=f"{CAMERA}/{kind}_{self._count}", **attributes
        )
        (self._after if self._fed else self._before).append(node)
        return output

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        self._count += 1
        name = f"{CAMERA}/constant_{self._count}"
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def resize(self, picture: str, source: Size, target: Size) -> str:
        """Linear, float [N,C,h,w], rounded to whole grey levels as in OpenCV's uint8."""
        if source == target:
            return picture
        scales = [1.0, 1.0, *(_scale(have, want) for have, want in zip(source, target, strict=True))]
        resized = self.add(
            "Resize", [picture, "", self.constant(np.array(scales, np.float32))], mode="linear"
        )
        return self.add("Round", [resized])

    def feed(self, tensor: str) -> None:
        """The old nodes read `tensor` where they have read the input."""
        for node in self._old:
            for index, name in enumerate(node.input):
                if name == GRAPH_INPUT:
                    node.input[index] = tensor
        self._fed = True

    def has(self, output: str) -> bool:
        return any(value.name == output for value in self._graph.output)

    def take_output(self, name: str) -> str:
        """Give an output's tensor another name, so that what is added can make the output."""
        inner = f"{CAMERA}/{name}"
        for node in self._old:
            for names in (node.input, node.output):
                for index, found in enumerate(names):
                    if found == name:
                        names[index] = inner
        return inner

    def shape_of(self, output: str) -> Size:
        dims = self._dims(output)
        return dims[1].dim_value, dims[2].dim_value

    def pick(self, output: str, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> None:
        """Leave rows and columns of an output [N,h,w], in this order, repeated where they are."""
        inner = self.add("Gather", [self.take_output(output), self.constant(rows)], axis=1)
        self.add("Gather", [inner, self.constant(columns)], output=output, axis=2)
        dims = self._dims(output)
        dims[1].dim_value, dims[2].dim_value = len(rows), len(columns)

    def resize_input(self, size: Size) -> None:
        dims = self._graph.input[0].type.tensor_type.shape.dim
        dims[1].dim_value, dims[2].dim_value = size

    def finish(self) -> None:
        del self._graph.node[:]
        self._graph.node.extend([*self._before, *self._old, *self._after])
        del self._graph.value_info[:]

    def _dims(self, output: str) -> Any:
        return next(v for v in self._graph.output if v.name == output).type.tensor_type.shape.dim


def _see(bundle: Bundle, form: Form, pictures: Sequence[NDArray[np.uint8]]) -> list[Answer]:
    """What the runtime makes of the pictures (uint8 [H,W,3] BGR), in camera pixels."""
    opened = open_engine(bundle, form.engine, EngineSettings(form.precision, form.device))
    perceptor = Perceptor(bundle, opened, score_threshold=0.0)
    answers: list[Answer] = []
    for picture in pictures:
        (seen,) = perceptor.perceive([Frame(picture)], want_confidence=True)
        answer: dict[str, NDArray[Any]] = {}
        if seen.mask is not None and seen.confidence is not None:
            answer |= {"mask": seen.mask[None], "confidence": seen.confidence[None]}
        if "detection" in bundle.manifest.tasks:
            found = seen.detections
            answer["boxes"] = np.array([item.box for item in found], np.float32).reshape(1, -1, 4)
            answer["scores"] = np.array([[item.score for item in found]], np.float32)
            answer["labels"] = np.array([[item.label for item in found]], np.int64)
        answers.append(answer)
    perceptor.close()
    return answers
