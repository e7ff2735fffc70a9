"""INT8 simulated in training is the INT8 of the exported file."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from training.compression.fake_quant import add_fake_quant, settle_norms, take_fake_quant
from training.compression.quantize import Quantizer
from training.compression.spec import QuantizeSpec

ONE = "model.body.0.weight"


class Small(nn.Module):
    """Frames in, a convolution with batch norm and one without; `body` is what is quantized."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Module()
        self.model.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 4, 1)
        )
        norm = self.model.body[1]
        norm.running_var.uniform_(100, 4e4)
        norm.weight.data.uniform_(-2, 2)  # negative scales too: integers change sign, not size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model.body(images.float().permute(0, 3, 1, 2))


def frames(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (12, 16, 3), np.uint8) for _ in range(count)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "float.onnx"
    example = torch.zeros(2, 12, 16, 3, dtype=torch.uint8)
    shapes = {"images": {0: torch.export.Dim("batch", min=1, max=8)}}
    program = torch.onnx.export(
        Small().eval(), (example,), dynamo=True, input_names=["images"], dynamic_shapes=shapes, verbose=False
    )
    onnx.save(program.model_proto, str(path))
    return path


@pytest.mark.parametrize("activations", ["asymmetric", "symmetric"])
def test_simulation_and_exported_file_agree_to_a_step_of_the_output(
    exported: Path, tmp_path: Path, activations: str
) -> None:
    net = Small()
    add_fake_quant(net, symmetric=activations == "symmetric")
    net.train()
    net.model.body[1].eval()
    images = torch.from_numpy(np.stack(frames(4)))
    net(images)
    with torch.inference_mode():
        simulated = net.eval()(images[:1]).numpy()
    ranges = {name.removeprefix("model."): ends for name, ends in take_fake_quant(net).items()}
    assert ranges["body.0"] == (0, images.max())
    spec = QuantizeSpec(activations=activations)
    Quantizer(exported, frames(4), spec, ranges).write(tmp_path / "int8.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "int8.onnx"))
    found = session.run(None, {"images": frames(4)[0][None]})[0]
    step = (simulated.max() - simulated.min()) / (127 if activations == "symmetric" else 255)
    assert np.abs(found - simulated).max() <= 3 * step  # the file rounds the output and the biases as well
    exact = onnxruntime.InferenceSession(str(exported)).run(None, {"images": frames(4)[0][None]})[0]
    assert np.abs(found - simulated).mean() < np.abs(found - exact).mean()


def test_folding_batch_norm_leaves_the_integers_of_the_weights_as_trained(
    exported: Path, tmp_path: Path
) -> None:
    Quantizer(exported, frames(2), QuantizeSpec(), {}).write(tmp_path / "int8.onnx")
    stored = {i.name: numpy_helper.to_array(i) for i in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    (integers,) = [
        v for name, v in stored.items() if name.startswith(ONE) and v.dtype == np.int8 and v.ndim == 4
    ]
    weight = Small().model.body[0].weight.detach()
    ends = weight.flatten(1).sort().values
    most = torch.maximum(ends[:, -2:].clamp(min=0).sum(1), -ends[:, :2].clamp(max=0).sum(1))
    trained = (weight / most[:, None, None, None] * 127).round().numpy()
    assert np.abs(np.abs(integers) - np.abs(trained)).max() <= 1
    assert (np.abs(integers) == np.abs(trained)).mean() > 0.99


def test_trained_ranges_are_the_scales_of_the_file(exported: Path, tmp_path: Path) -> None:
    Quantizer(exported, frames(2), QuantizeSpec(), {"body.3": (0.0, 5.1)}).write(tmp_path / "int8.onnx")
    graph = onnx.load(tmp_path / "int8.onnx").graph
    scales = [
        float(numpy_helper.to_array(i)) for i in graph.initializer if i.name.endswith("_scale") and not i.dims
    ]
    assert any(scale == pytest.approx(5.1 / 255, rel=1e-5) for scale in scales)


def test_symmetric_form_is_what_tensorrt_takes(exported: Path, tmp_path: Path) -> None:
    Quantizer(exported, frames(2), QuantizeSpec(activations="symmetric")).write(tmp_path / "int8.onnx")
    graph = onnx.load(tmp_path / "int8.onnx").graph
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    pairs = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        zero_point = values[node.input[2]]
        assert zero_point.dtype == np.int8
        assert not zero_point.any()


def test_layers_left_in_float_keep_their_weights(exported: Path, tmp_path: Path) -> None:
    quantizer = Quantizer(exported, frames(2), QuantizeSpec())
    assert quantizer.layers == ("body.0", "body.3")
    quantizer.write(tmp_path / "mixed.onnx", ["body.3"])
    kinds = [
        item.data_type for item in onnx.load(tmp_path / "mixed.onnx").graph.initializer if len(item.dims) == 4
    ]
    assert sorted(kinds) == [onnx.TensorProto.FLOAT, onnx.TensorProto.INT8]


def test_taking_it_out_leaves_the_network_as_it_was() -> None:
    net = Small().eval()
    images = torch.from_numpy(np.stack(frames(1)))
    with torch.inference_mode():
        before = net(images)
        add_fake_quant(net, symmetric=False)
        take_fake_quant(net)
        torch.testing.assert_close(net(images), before)
    assert set(net.state_dict()) == set(Small().state_dict())


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("first", [True, False])
def test_a_batch_that_is_not_finite_leaves_the_ranges_as_they_were_and_is_told_of_once(
    value: float, first: bool
) -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
    add_fake_quant(net, symmetric=False)
    net.train()
    good, bad = torch.rand(2, 1, 4, 4), torch.full((1, 1, 4, 4), value)
    for images in (bad, good) if first else (good, bad):
        for layer in net:
            layer(images)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        net.eval()
        net.train()
        net.eval()
    assert [str(item.message)[:44] for item in told] == ["qat: batches with infinite or NaN values at "]
    assert take_fake_quant(net) == dict.fromkeys("01", (0.0, pytest.approx(good.max().item())))


def test_settled_batch_norm_takes_out_the_shift_of_rounded_weights() -> None:
    net = nn.Sequential(nn.Conv2d(31, 1, 1, bias=False), nn.BatchNorm2d(1, affine=False, momentum=0.01))
    with torch.no_grad():  # thirty weights of 0.4 steps each: rounded to zero
        net[0].weight.copy_(torch.tensor([127.0] + [0.4] * 30).view(1, 31, 1, 1))
    torch.manual_seed(0)
    images = torch.cat((torch.rand(8, 1, 8, 8), torch.ones(8, 30, 8, 8)), 1)
    full = torch.nn.functional.conv2d(images, net[0].weight.detach())
    net[1].running_mean.copy_(full.mean() + 20)  # of other frames than these
    net[1].running_var.copy_(full.var())
    wanted = float(net.eval()(images).mean().detach())
    add_fake_quant(net, symmetric=False)
    net[0].input_range.copy_(torch.tensor([0.0, 1.0]))
    # 12 are missing, of a deviation of 127 / sqrt(12)
    assert float(net(images).mean()) == pytest.approx(wanted - 12 * 12**0.5 / 127, abs=0.03)
    settle_norms(net, images.split(2))
    assert float(net(images).mean()) == pytest.approx(wanted, abs=1e-3)
    assert not net.training
    assert net[1].momentum == 0.01
