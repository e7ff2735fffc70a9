"""What makes several processes compute what one would: weights of their means, parts of the teacher."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


def process_weight(norm: Tensor, least: float) -> Tensor:
    """Factor of this process's mean, so that the processes' average is the mean over all of them.

    A process's mean is sum_r / max(n_r, least); the mean over all is sum of sum_r / max(sum of n_r, least).
    DDP averages W gradients, hence the factor W max(n_r, least) / max(sum of n_r, least). It is 1 for one
    process, and for several with equal norms. All processes must call this at the same place.

    Args:
        norm: scalar n_r, what this process's sum is divided by: pixels, class weights, objects.
        least: lower bound that the loss puts on it.
    """
    if _alone():
        return torch.ones((), device=norm.device)
    own = norm.detach().float()
    return own.clamp(min=least) * dist.get_world_size() / over_processes(own).clamp(min=least)


def over_processes(count: Tensor) -> Tensor:
    """The sum of all processes' `count`; itself where there is one. All must call this at the same place."""
    if _alone():
        return count
    total = count.clone()
    dist.all_reduce(total)
    return total


def _alone() -> bool:
    return not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1


def shard_teacher(teacher: nn.Module, device: torch.device, least: int = 1_000_000) -> None:
    """Share out a frozen network's weights among the processes (Rajbhandari et al., ZeRO stage 3, SC 2020).

    Each process holds a part of every weight on its device. A layer of a ModuleList or Sequential with at
    least `least` values of its own is put together when it runs and taken apart afterwards, the rest with the
    network as a whole; so a network pays off whose big layers are listed there, as transformers' are. Module
    paths and hooks stay as they are. Shown with gloo on CPU; on GPUs it runs the same code over NCCL.
    """
    from torch.distributed.device_mesh import init_device_mesh  # a second of a start that does not need them
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor

    teacher.to(memory_format=torch.contiguous_format)  # fully_shard refuses channels_last
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for holder in reversed(list(teacher.modules())):  # inner ones first, as fully_shard wants it
        if isinstance(holder, (nn.ModuleList, nn.Sequential)):
            for layer in holder:
                whole = sum(p.numel() for p in layer.parameters() if not isinstance(p, DTensor))
                if whole >= least and not isinstance(layer, (nn.ModuleList, nn.ModuleDict)):
                    fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    fully_shard(teacher, mesh=mesh, reshard_after_forward=True)
    for buffer in teacher.buffers():
        buffer.data = buffer.data.to(device)
