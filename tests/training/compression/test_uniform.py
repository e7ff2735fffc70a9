"""The formula against a numpy quantizer and ONNX Runtime's own."""

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from training.compression.uniform import scale_and_zero_point, simulate, simulate_weight, weight_range

VALUES = np.concatenate(
    ([0.0], np.random.default_rng(0).normal(scale=2, size=400), np.linspace(-5, 9, 101))
).astype(np.float32)


def numpy_round_trip(
    x: NDArray[np.float32], low: float, high: float, symmetric: bool
) -> tuple[NDArray[np.float64], float]:
    """Written from the formula, in double precision; and the scale."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(-low, high) / 127 if symmetric else (high - low) / 255
    zero_point = 0 if symmetric else round(-low / scale)
    least, most = (-127, 127) if symmetric else (0, 255)
    q = np.clip(np.round(x.astype(np.float64) / scale) + zero_point, least, most)
    return scale * (q - zero_point), scale


def onnx_round_trip(
    x: NDArray[np.float32], scale: float, zero_point: int, symmetric: bool
) -> NDArray[np.float32]:
    kind = TensorProto.INT8 if symmetric else TensorProto.UINT8
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
        ],
        "round_trip",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]),
            helper.make_tensor("zero", kind, [], [zero_point]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    found: NDArray[np.float32] = session.run(None, {"x": x})[0]
    return found


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 6.0), (-4.0, 0.0), (0.5, 2.0)])
def test_simulation_equals_numpy_and_onnx_runtime(low: float, high: float, symmetric: bool) -> None:
    ends = torch.tensor(low), torch.tensor(high)
    found = simulate(torch.from_numpy(VALUES), *ends, symmetric).numpy()
    scale, zero_point = scale_and_zero_point(*ends, symmetric)
    reference, step = numpy_round_trip(VALUES, low, high, symmetric)
    assert float(scale) == pytest.approx(step, rel=1e-6)
    # Where a value lies between two steps to the last bit, double and single precision may part.
    assert (np.abs(found - reference) <= 1e-5 * max(abs(low), abs(high))).mean() > 0.995
    assert np.abs(found - reference).max() <= 1.01 * step
    theirs = onnx_round_trip(VALUES, float(scale), int(zero_point), symmetric)
    inside = np.abs(theirs) <= 126.5 * step if symmetric else np.ones(len(VALUES), bool)  # ONNX has -128 too
    assert (np.abs(found - theirs)[inside] <= 1e-5 * max(abs(low), abs(high))).mean() > 0.995


@settings(max_examples=60)
@given(low=st.floats(-100, 0), high=st.floats(0.01, 100), share=st.floats(0, 1), symmetric=st.booleans())
def test_values_inside_the_range_come_back_within_half_a_step(
    low: float, high: float, share: float, symmetric: bool
) -> None:
    x = torch.tensor([low + share * (high - low)])
    ends = torch.tensor(low), torch.tensor(high)
    scale, _ = scale_and_zero_point(*ends, symmetric)
    # The range's ends may themselves lie half a step off, as the zero point is rounded.
    bound = float(scale) * (0.5 if symmetric else 1.0) + 1e-5 * max(-low, high)
    assert float((simulate(x, *ends, symmetric) - x).abs()) <= bound
    assert float(simulate(torch.zeros(1), *ends, symmetric)) == 0  # padding stays exact


def test_values_outside_become_the_end_of_the_range_and_pass_no_gradient() -> None:
    x = torch.tensor([-50.0, 1.0, 50.0], requires_grad=True)
    out = simulate(x, torch.tensor(-1.0), torch.tensor(3.0), symmetric=False)
    out.sum().backward()
    assert out.tolist() == pytest.approx([-1, 1, 3], abs=4 / 255)
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 0]


def test_every_output_channel_of_a_weight_has_its_own_scale() -> None:
    weight = torch.randn(3, 4, 3, 3) * torch.tensor([0.01, 1, 100])[:, None, None, None]
    error = (simulate_weight(weight) - weight).abs().amax((1, 2, 3))
    assert (error <= 2 * weight.abs().amax((1, 2, 3)) / 127 / 2 * 1.001).all()


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ([1.0, -3.0, 2.0, 0.5], 3.0),  # 1 + 2 of one sign, 3 of the other
        ([2.0, 2.0, -1.0, 0.0], 4.0),
        ([-5.0, 1.0, 1.0, -2.0], 7.0),
        ([0.5], 0.5),
        ([0.0, 0.0], 0.0),
    ],
)
def test_a_weights_range_is_the_sum_of_the_two_largest_of_one_sign(
    channel: list[float], expected: float
) -> None:
    assert weight_range(torch.tensor(channel).reshape(1, -1, 1, 1)).tolist() == [expected]
