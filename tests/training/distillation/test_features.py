"""Capture of feature maps: by path, beside copies and under DDP, with errors that help."""

import copy
import re

import pytest
import torch
import torch.distributed as dist
import transformers
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from tests.training.distillation.networks import Toy, frames
from tests.training.teachers.tiny_checkpoints import CITYSCAPES, segformer
from training.distillation.features import FeatureCapture
from training.distillation.tokens import fold_tokens
from training.errors import TrainingError


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def test_maps_are_those_of_the_last_pass_and_are_let_go() -> None:
    model = Toy(4, 2).eval()
    capture = FeatureCapture(model, ["neck.0", "head"], "student")
    model(frames(seed=1))
    outputs = model(frames())
    maps = capture.take()
    assert capture.take() == {}
    assert list(maps) == ["neck.0", "head"]
    assert torch.equal(maps["head"], outputs.logits)
    assert torch.equal(maps["neck.0"], model.neck[0](model.stem(frames() / 255)[1]))


def test_a_module_that_ran_twice_is_known_until_its_map_is_taken() -> None:
    model = Toy(4, 2).eval()
    capture = FeatureCapture(model, ["neck.0"], "teacher")
    model(frames())
    assert capture.repeated == frozenset()
    model(frames().flip(-1))
    assert capture.repeated == {"neck.0"}
    capture.take()
    assert capture.repeated == frozenset()


def test_gradient_flows_through_a_captured_map() -> None:
    model = Toy(4, 2)
    capture = FeatureCapture(model, ["neck"], "student")
    model(frames())
    capture.take()["neck"].sum().backward()
    assert model.stem.first.weight.grad.abs().sum() > 0


def test_a_number_picks_one_of_several_maps() -> None:
    model = Toy(4, 2).eval()
    capture = FeatureCapture(model, ["stem.0", "stem.1"], "teacher")
    model(frames())
    maps = capture.take()
    first, second = model.stem(frames() / 255)
    assert torch.equal(maps["stem.0"], first)
    assert torch.equal(maps["stem.1"], second)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nek.0", "the student has no module 'nek.0': did you mean .*neck.0"),
        ("neck.7", "the student has no module 'neck.7': did you mean .*neck"),
        ("backbone", "the student has no module 'backbone': it has stem, neck, head, heatmap, size, spare"),
        ("", "the student has no module ''"),
    ],
)
def test_a_wrong_path_is_answered_with_the_nearest(path: str, message: str) -> None:
    model = Toy(4, 2)
    with pytest.raises(TrainingError, match=message):
        FeatureCapture(model, ["neck", path], "student")
    assert hooks(model) == 0


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("stem", r"student: stem gives a list: add \.0, \.1"),
        ("stem.2", "student: stem.2: the module's output has no map 2"),
        ("stem.first.0", "student: stem.first.0: the module's output has no map 0"),
    ],
)
def test_an_output_that_is_no_map_is_named(path: str, message: str) -> None:
    model = Toy(4, 2)
    FeatureCapture(model, [path], "student")
    with pytest.raises(TrainingError, match=message):
        model(frames())


def test_a_vector_is_no_map() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    FeatureCapture(model, ["1"], "teacher")
    with pytest.raises(TrainingError, match=re.escape("teacher: 1 gives [3, 2], not a map [N,C,h,w]")):
        model(torch.zeros(3, 1, 2, 2))


def test_close_removes_hooks_and_maps() -> None:
    model = Toy(4, 2)
    capture = FeatureCapture(model, ["neck", "head"], "student")
    assert hooks(model) == 2
    model(frames())
    capture.close()
    assert hooks(model) == 0
    assert capture.take() == {}


def test_an_average_made_of_the_network_does_not_disturb_the_capture() -> None:
    model = Toy(4, 2).eval()
    capture = FeatureCapture(model, ["neck"], "student")
    average, twin = AveragedModel(model), copy.deepcopy(model)
    model(frames())
    average(frames(seed=1))
    twin(frames(seed=2))
    captured = capture.take()["neck"]
    assert torch.equal(captured, model.neck(model.stem(frames() / 255)[1]))


def test_a_copied_capture_is_the_same() -> None:
    model = Toy(4, 2).eval()
    capture = FeatureCapture(model, ["neck"], "teacher")
    model(frames())
    assert copy.deepcopy(capture).take()["neck"].shape == (2, 4, 8, 8)


def test_gradient_flows_through_a_captured_map_under_ddp(tmp_path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    try:
        model = Toy(4, 2)
        capture = FeatureCapture(model, ["neck"], "student")
        wrapped = DistributedDataParallel(model, find_unused_parameters=True)
        wrapped(frames())
        capture.take()["neck"].sum().backward()
        assert model.stem.first.weight.grad.abs().sum() > 0
    finally:
        dist.destroy_process_group()


def test_tokens_of_a_transformer_are_the_maps_that_it_makes_of_them_itself(tmp_path) -> None:
    model = transformers.SegformerForSemanticSegmentation.from_pretrained(segformer(tmp_path, CITYSCAPES))
    images = torch.rand(2, 3, 72, 104)  # 4.5 x 6.5 cells of stride 16
    paths = [f"segformer.stages.{index}.layer_norm" for index in range(4)]
    capture = FeatureCapture(model.eval(), paths, "teacher")
    with torch.no_grad():
        own = model(images, output_hidden_states=True).hidden_states
        maps = capture.take()
    assert [tuple(maps[path].shape[2:]) for path in paths] == [(18, 26), (9, 13), (5, 7), (3, 4)]
    for path, wanted in zip(paths, own, strict=True):
        torch.testing.assert_close(maps[path], wanted)


def test_tokens_of_a_class_and_registers_are_left_out() -> None:
    cells = torch.arange(2 * 6 * 8 * 3.0).view(2, 48, 3)
    for extra in (0, 1, 2, 5):
        tokens = torch.cat((torch.full((2, extra, 3), -1.0), cells), 1)
        found = fold_tokens(tokens, (96, 128), 16)
        assert found is not None
        assert found.shape == (2, 3, 6, 8)
        assert torch.equal(found[1, :, 2, 5], cells[1, 2 * 8 + 5])
    assert fold_tokens(cells[:, :47], (96, 128), 16) is None


@pytest.mark.parametrize(
    ("queries", "frame", "stride"),
    [(100, (800, 1066), 2), (100, (640, 640), 16), (900, (640, 640), 2), (300, (360, 480), 2)],
)
def test_queries_of_detectors_are_no_places(queries: int, frame: tuple[int, int], stride: int) -> None:
    assert fold_tokens(torch.zeros(1, queries, 4), frame, stride) is None


@pytest.mark.parametrize(("path", "count"), [("neck", 23), ("decoder", 48)])
def test_tokens_that_are_no_cells_of_the_frame_are_named(path: str, count: int) -> None:
    """There are 48 cells; a decoder's tokens are objects, however many they are."""

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 4, 16, 16)
            self.add_module(path, nn.Identity())

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            tokens = self.patches(images).flatten(2).transpose(1, 2)
            return self.get_submodule(path)(tokens[:, :count])

    model = Transformer()
    FeatureCapture(model, [path], "teacher")
    message = f"{path} gives [1, {count}, 4], not a map [N,C,h,w]"
    with pytest.raises(TrainingError, match=re.escape(message)):
        model(torch.zeros(1, 3, 96, 128))
