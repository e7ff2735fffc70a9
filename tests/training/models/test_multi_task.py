"""One network for both tasks."""

import pytest
import torch

from training.errors import TrainingError
from training.models.multi_task import MultiTaskNet
from training.models.outputs import upsample
from training.models.spec import FpnSpec, ModelSpec

SMALL = {"encoder": "mobilenet_v3_small", "width_multiplier": 0.5, "pretrained": False}
THINGS = (8, 9, 10)


def net(*tasks: str, **options: object) -> MultiTaskNet:
    spec = ModelSpec.model_validate(
        {**SMALL, "decoder": {"name": "fpn", "width": 16}, "tasks": tasks, **options}
    )
    torch.manual_seed(0)
    return MultiTaskNet(spec, 11, THINGS).eval()


def test_both_tasks_come_from_one_pass() -> None:
    outputs = net("segmentation", "detection")(torch.rand(2, 3, 90, 122) * 255)
    assert outputs.logits is not None
    assert outputs.detection is not None
    assert outputs.logits.shape == (2, 11, 23, 31)
    assert outputs.detection.heatmap.shape == (2, 3, 23, 31)
    assert outputs.detection.size.shape == (2, 4, 23, 31)
    assert outputs.detection.stride == 4


@pytest.mark.parametrize("size", [(64, 96), (90, 122)])
def test_logits_are_at_a_quarter_rounded_up_and_upsample_to_the_input(size: tuple[int, int]) -> None:
    logits = net("segmentation")(torch.rand(2, 3, *size) * 255).logits
    assert logits is not None
    assert tuple(logits.shape) == (2, 11, -(-size[0] // 4), -(-size[1] // 4))
    assert tuple(upsample(logits, *size).shape) == (2, 11, *size)


def test_a_task_that_is_not_asked_for_is_none_and_costs_no_parameters() -> None:
    images = torch.zeros(1, 3, 64, 64)
    only_boxes, only_mask = net("detection"), net("segmentation")
    assert only_boxes(images).logits is None
    assert only_mask(images).detection is None
    assert not any(key.startswith("head.") for key in only_boxes.state_dict())
    assert not any(key.startswith("detection_head.") for key in only_mask.state_dict())


@pytest.mark.parametrize(
    ("decoder", "stride"),
    [({"name": "fpn", "width": 16, "detail": 8}, 4), ({"name": "two_branch", "width": 16}, 8)],
)
def test_detection_works_at_stride_4_or_at_the_decoders_if_that_is_coarser(
    decoder: dict[str, object], stride: int
) -> None:
    maps = net("detection", decoder=decoder)(torch.zeros(1, 3, 90, 122)).detection
    assert maps is not None
    assert maps.stride == stride
    assert maps.heatmap.shape[2:] == (-(-90 // stride), -(-122 // stride))


def test_an_untrained_heatmap_says_one_in_ten_everywhere_and_distances_are_positive() -> None:
    maps = net("detection")(torch.rand(1, 3, 96, 96) * 255).detection
    assert maps is not None
    assert maps.heatmap.sigmoid().mean().item() == pytest.approx(0.1, abs=0.02)
    assert (maps.size > 0).all()


def test_distances_stay_positive_and_finite_in_half_precision_whatever_the_features() -> None:
    head = net("detection").detection_head
    assert head is not None
    for value in (-1e4, 1e4):
        with torch.no_grad():
            head.size[-1].bias.fill_(value)
        size = head(torch.zeros(1, 16, 4, 4)).size.half()
        assert (size > 0).all()
        assert size.isfinite().all()


def test_detection_without_a_thing_class_is_refused() -> None:
    with pytest.raises(TrainingError, match="has none"):
        MultiTaskNet(ModelSpec(**SMALL, tasks=("detection",)), 11)


def test_a_segmentation_checkpoint_fits_all_but_the_detection_head() -> None:
    start = net("segmentation").state_dict()
    missing, unexpected = net("segmentation", "detection").load_state_dict(start, strict=False)
    assert unexpected == []
    assert missing
    assert all(key.startswith("detection_head.") for key in missing)


def test_checkpoints_written_before_there_were_several_decoders_fit() -> None:
    """Names as they stand in such files: one of each part."""
    spec = ModelSpec(pretrained=False, decoder=FpnSpec(width=16, detail=8))
    with torch.device("meta"):
        state = MultiTaskNet(spec, 11).state_dict()
    expected = {
        "encoder._conv_stem.weight": (32, 3, 3, 3),
        "encoder._blocks.1._expand_conv.weight": (96, 16, 1, 1),
        "decoder.context.local.0.weight": (16, 320, 1, 1),
        "decoder.context.scene.0.bias": (16,),
        "decoder.lateral.0.0.weight": (16, 24, 1, 1),
        "decoder.smooth.2.1.0.weight": (16, 16, 1, 1),
        "decoder.detail.smooth.1.running_mean": (8,),
        "head.0.0.0.weight": (8, 1, 3, 3),
        "head.2.weight": (11, 8, 1, 1),
    }
    assert {key: tuple(state[key].shape) for key in expected} == expected
    assert not any(key.startswith(("mean", "std", "things", "detection")) for key in state)


def test_pixels_are_normalized_as_the_encoders_weights_expect() -> None:
    model = net("segmentation")
    seen = []
    model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    # The mean and one deviation above it of ImageNet as torchvision gives them, on 0..255.
    model(255 * torch.tensor([0.485, 0.456 + 0.224, 0.406 - 0.225]).view(1, 3, 1, 1).expand(1, 3, 32, 32))
    assert seen[0].mean((0, 2, 3)).tolist() == pytest.approx([0, 1, -1], abs=1e-4)


def test_channels_last_gives_the_same_answer() -> None:
    model = net("segmentation", "detection")
    images = torch.rand(1, 3, 64, 96) * 255
    expected = model(images)
    found = model.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    assert torch.allclose(found.logits, expected.logits, atol=1e-4)
    assert torch.allclose(found.detection.size, expected.detection.size, atol=1e-4)
