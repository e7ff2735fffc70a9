"""What the scan says of a group of layers."""

import pytest

from tests.support.tiny_nets import SIZE, tiny_net
from training.compression.pruning.channels import prunable_widths
from training.compression.pruning.importance import IMPORTANCE
from training.compression.pruning.sensitivity import scan
from training.models.multi_task import MultiTaskNet

GROUP = "encoder._blocks.4._depthwise_conv"


def width_of(model: MultiTaskNet) -> int:
    return int(model.encoder._blocks[4]._depthwise_conv.out_channels)


def test_each_cut_has_its_worst_drop_and_its_part_of_the_latency_that_the_deepest_saved() -> None:
    model = tiny_net()
    whole = prunable_widths(model, SIZE)[GROUP]
    measured = []

    def scores_of(net: MultiTaskNet) -> dict[str, float]:
        lost = whole - width_of(net)
        return {"miou": 0.7 - 0.001 * lost, "map50": 0.5 - 0.005 * lost}

    def latency_share_of(net: MultiTaskNet) -> float:
        measured.append(width_of(net))
        return 0.9

    cuts = scan(model, {GROUP: whole}, IMPORTANCE["magnitude"](), SIZE, 32, scores_of, latency_share_of)
    assert whole == width_of(model) == 96  # it is copies that are cut
    assert measured == [32]  # three quarters off are 24, and a multiple of 32 is asked for
    assert {cut.width: cut.drop for cut in cuts} == pytest.approx({32: 0.32, 64: 0.16})
    assert {cut.width: cut.saved for cut in cuts} == pytest.approx({32: 0.1, 64: 0.05})
    assert {cut.name for cut in cuts} == {GROUP}
