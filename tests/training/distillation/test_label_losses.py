"""Losses on labels through the network's stride."""

import pytest
import torch

from training.data.sample import Batch
from training.distillation.label_losses import label_losses
from training.models.outputs import DetectionMaps, Outputs, upsample
from training.recipe import LossSpec


def test_the_box_term_counts_five_times_the_heatmaps_as_in_ttfnet() -> None:
    """Liu et al., AAAI 2020 (https://arxiv.org/abs/1909.00700), section 4.1: 1.0 and 5.0."""
    batch = Batch(
        images=torch.zeros(1, 3, 32, 32),
        masks=torch.full((1, 32, 32), 255),
        boxes=[torch.tensor([[4.0, 4.0, 20.0, 28.0]])],
        labels=[torch.tensor([1])],
        has_mask=torch.zeros(1, dtype=torch.bool),
        has_boxes=torch.ones(1, dtype=torch.bool),
    )
    maps = DetectionMaps(torch.full((1, 1, 8, 8), -2.0), torch.full((1, 4, 8, 8), 6.0), 4)
    spec = LossSpec(detection=0.5)

    loss, terms = label_losses(spec, Outputs(None, maps), batch, 255, torch.ones(2), torch.tensor([1]))

    assert min(terms["box"].item(), terms["heatmap"].item()) > 0.1
    assert loss.item() == pytest.approx(0.5 * (terms["heatmap"].item() + 5 * terms["box"].item()), rel=1e-6)


@pytest.mark.parametrize("edge", [60, 61, 62, 63])
def test_lovasz_loss_alone_puts_an_edge_where_the_labels_have_it(edge: int) -> None:
    """Logits of stride 4 are free; whatever the edge's phase within a cell, learnt to within a pixel."""
    masks = torch.zeros(1, 96, 120, dtype=torch.int64)
    masks[:, :, edge:] = 1
    logits = torch.zeros(1, 2, 24, 30, requires_grad=True)
    batch = Batch(
        images=torch.zeros(1, 3, 96, 120),
        masks=masks,
        boxes=[torch.zeros(0, 4)],
        labels=[torch.zeros(0, dtype=torch.int64)],
        has_mask=torch.ones(1, dtype=torch.bool),
        has_boxes=torch.zeros(1, dtype=torch.bool),
    )
    spec = LossSpec(cross_entropy=0.0, lovasz=1.0)
    optimizer = torch.optim.Adam([logits], 0.3)
    for _ in range(80):
        optimizer.zero_grad()
        loss, _ = label_losses(spec, Outputs(logits=logits), batch, 255, torch.ones(2), torch.tensor([1]))
        loss.backward()
        optimizer.step()
    answer = upsample(logits, 96, 120).argmax(1)
    learnt = (answer == 0).sum(2).float().mean().item()
    assert learnt == pytest.approx(edge, abs=1.0)
