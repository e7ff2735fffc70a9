"""The FP8 form against E4M3 rounding worked out with ml_dtypes, and what of it is in which precision."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from training.compression.float8 import write_float8
from training.errors import TrainingError

SCALES = np.array([0.1, 1.0, 10.0], np.float32)  # of the output channels: far apart on purpose
SHAPE = (16, 20, 3)


def frames(count: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, SHAPE, np.uint8) for _ in range(count)]


@pytest.fixture(scope="module")
def weights() -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(1)
    first = rng.normal(size=(3, 3, 3, 3)) * SCALES[:, None, None, None]
    return [first.astype(np.float32), rng.normal(size=(3, 3, 1, 1)).astype(np.float32)]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, weights: list[NDArray[np.float32]]) -> Path:
    """Two convolutions, one after the other, and the results of both."""
    nodes = [
        helper.make_node("Cast", ["images"], ["raw"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["raw"], ["bytes"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["bytes", "step"], ["planes"]),
        helper.make_node("Conv", ["planes", "model.a.weight"], ["seen"], name="a"),
        helper.make_node("Conv", ["seen", "model.b.weight"], ["joined"], name="b"),
        helper.make_node("Mul", ["seen", "one"], ["first"]),
        helper.make_node("Mul", ["joined", "one"], ["second"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *SHAPE])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3, 14, 18])
        for name in ("first", "second")
    ]
    constants = {"model.a.weight": weights[0], "model.b.weight": weights[1], "one": np.float32(1)}
    constants["step"] = np.float32(1 / 255)
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "convolutions",
            [images],
            outputs,
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    path = tmp_path_factory.mktemp("float8") / "full.onnx"
    onnx.save(model, str(path))
    return path


@pytest.fixture(scope="module")
def quantized(graph: Path) -> Path:
    target = graph.with_name("float8.onnx")
    write_float8(graph, target, frames(8))
    return target


def by_onnxruntime(path: Path, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()  # its optimizer knows no FP8
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    result: NDArray[np.float32] = session.run(["first"], {"images": frame[None]})[0]
    return result


def by_openvino(path: Path, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    result: NDArray[np.float32] = compiled([frame[None]])[compiled.output("first")]
    return result


def through_e4m3(values: NDArray[np.float64], most: NDArray[np.float64]) -> NDArray[np.float64]:
    scale = (most / 448).astype(np.float16).astype(np.float64)
    clipped = np.clip(values / scale, -448, 448)
    return clipped.astype(ml_dtypes.float8_e4m3fn).astype(np.float64) * scale


def convolved(x: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = torch.conv2d(torch.from_numpy(x), torch.from_numpy(weight)).numpy()
    return result


@pytest.mark.parametrize("run", [by_onnxruntime, by_openvino])
def test_inputs_and_weights_are_rounded_to_e4m3_with_a_scale_for_each_channel(
    run: object, graph: Path, quantized: Path, weights: list[NDArray[np.float32]]
) -> None:
    assert callable(run)
    frame = frames(1)[0]
    x, weight = frame[None].transpose(0, 3, 1, 2).astype(np.float64) / 255, weights[0].astype(np.float64)
    largest = np.float64(max(item.max() for item in frames(8)) / 255)
    per_channel = np.abs(weight).max((1, 2, 3), keepdims=True)
    expected = convolved(through_e4m3(x, largest), through_e4m3(weight, per_channel))
    found = run(quantized, frame)
    size = np.abs(expected).max((0, 2, 3))
    error = np.abs(found - expected).mean((0, 2, 3)) / size
    rounding = np.abs(convolved(x, weight) - expected).mean((0, 2, 3)) / size
    assert (rounding > 0.002).all()  # else the next line would say nothing
    assert (error < 0.1 * rounding).all()


def test_layers_can_stay_in_float16(graph: Path, tmp_path: Path) -> None:
    write_float8(graph, tmp_path / "part.onnx", frames(2), half_layers=["a"])
    model = onnx.load(tmp_path / "part.onnx")
    kinds = {item.name: item.data_type for item in model.graph.initializer}
    assert kinds["model.a.weight"] == TensorProto.FLOAT16
    assert kinds["model.b.weight_float8"] == TensorProto.FLOAT8E4M3FN
    assert "model.b.weight" not in kinds
    half, full = (by_onnxruntime(path, frames(1)[0]) for path in (tmp_path / "part.onnx", graph))
    assert (np.abs(half - full).max((0, 2, 3)) < 2e-3 * np.abs(full).max((0, 2, 3))).all()


def test_calibration_frames_are_asked_for(graph: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="needs calibration frames"):
        write_float8(graph, tmp_path / "none.onnx", [])
    assert not (tmp_path / "none.onnx").exists()
