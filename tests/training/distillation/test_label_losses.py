"""Losses on labels through the network's stride."""

import pytest
import torch

from training.data.sample import Batch
from training.distillation.label_losses import label_losses
from training.models.outputs import Outputs, upsample
from training.recipe import LossSpec


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
