"""Structured pruning: whole channels go, so that every engine runs a smaller dense network.

Layers that must keep the same channels (both sides of a residual, a depthwise convolution and what feeds it)
form a group that is cut together; torch-pruning finds the groups (Fang et al., "DepGraph", CVPR 2023,
https://arxiv.org/abs/2301.12900).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch_pruning as tp
from torch import Tensor, nn

from training.errors import TrainingError
from training.models.multi_task import MultiTaskNet
from training.models.outputs import Outputs

Widths = dict[str, int]  # a layer of each group -> output channels of all of them
Importance = Callable[[object], Tensor | None]


def prunable_widths(model: MultiTaskNet, size: tuple[int, int]) -> Widths:
    """Every group that can be cut, with the channels that it has; outputs of the network are none.

    Args:
        size: height, width of a frame to trace the network with.
    """
    pruner = _pruner(model, size, tp.importance.GroupMagnitudeImportance(), {})
    return {name: group.channels for name, group in _groups(model, pruner).items()}


def prune_channels(
    model: MultiTaskNet, widths: Mapping[str, int], importance: Importance, size: tuple[int, int]
) -> None:
    """Cut groups to `widths`, in place: the channels of least importance go.

    Args:
        widths: channels that are left, by the names of `prunable_widths`; groups left out stay as they are.
        importance: of torch-pruning, see `importance.py`.
        size: height, width of a frame to trace the network with.

    Raises:
        TrainingError: `importance` tells nothing of a group to cut, which torch-pruning would leave as it is.
    """
    groups = _groups(model, _pruner(model, size, importance, {}))
    cut = [name for name, width in widths.items() if width < groups[name].channels]
    unknown = [name for name in cut if importance(groups[name].group) is None]
    if unknown:
        raise TrainingError(
            f"pruning: importance tells nothing of {len(unknown)} of {len(cut)} groups to cut, such as that "
            f"of layer '{unknown[0]}' (bn_scale: they have no batch norm): use `importance: magnitude` or "
            "`taylor`"
        )
    # torch-pruning keeps int(channels * (1 - ratio)); half a channel more keeps that from rounding down.
    ratios = {
        groups[name].layer: 1 - (widths[name] + 0.5 * groups[name].sections) / groups[name].channels
        for name in cut
    }
    _pruner(model, size, importance, ratios).step()


def round_width(width: float, most: int, multiple: int) -> int:
    """`width` rounded to a multiple that engines like, at least one multiple, at most what there is."""
    return min(most, max(multiple, round(width / multiple) * multiple))


class _Group:
    """A group, its first layer, its channels, and in how many equal sections they must be cut."""

    def __init__(self, group: tp.Group, layer: nn.Conv2d, sections: int) -> None:
        self.group, self.layer, self.channels, self.sections = group, layer, layer.out_channels, sections


def _groups(model: MultiTaskNet, pruner: tp.pruner.BasePruner) -> dict[str, _Group]:
    names = {layer: name for name, layer in model.named_modules()}
    found = {}
    for group in pruner.DG.get_all_groups(
        ignored_layers=pruner.ignored_layers, root_module_types=[nn.Conv2d]
    ):
        layer = group[0].dep.target.module
        found[names[layer]] = _Group(group, layer, pruner._get_channel_groups(group))
    return found


def _pruner(
    model: MultiTaskNet, size: tuple[int, int], importance: Importance, ratios: Mapping[nn.Module, float]
) -> tp.pruner.BasePruner:
    frame = torch.full((1, 3, *size), 127.0, device=next(model.parameters()).device)
    training = model.training
    pruner = tp.pruner.BasePruner(
        model.eval(),
        frame,
        importance=importance,
        pruning_ratio=0.0,
        pruning_ratio_dict=dict(ratios),
        ignored_layers=_last_layers(model),
        output_transform=_tensors,
    )
    model.train(training)
    return pruner


def _last_layers(model: MultiTaskNet) -> list[nn.Module]:
    """Their channels are classes and sides of boxes."""
    last = [] if model.head is None else [model.head[-1]]
    if model.detection_head is not None:
        last += [model.detection_head.heatmap[-1], model.detection_head.size[-1]]
    return last


def _tensors(outputs: Outputs) -> list[Tensor]:
    found = [] if outputs.logits is None else [outputs.logits]
    if outputs.detection is not None:
        found += [outputs.detection.heatmap, outputs.detection.size]
    return found
