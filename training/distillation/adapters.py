"""Makes two feature maps comparable: one size, and as many channels as the teacher's."""

from __future__ import annotations

from torch import Tensor, nn

from training.distillation.maps import resize


class Adapter(nn.Sequential):
    """Student map [N,inputs,h,w] -> [N,outputs,h,w] by a 1x1 convolution and batch norm; learns.

    Source: the convolutional regressor of FitNets (Romero et al., ICLR 2015,
    https://arxiv.org/abs/1412.6550), section 2.2, with a 1x1 kernel; batch norm lets it reach the teacher's
    scale in a few steps.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def make_adapter(student_channels: int, teacher_channels: int) -> Adapter | None:
    """The adapter between maps of so many channels; None where they agree."""
    if student_channels == teacher_channels:
        return None
    return Adapter(student_channels, teacher_channels)


def to_common_size(student: Tensor, teacher: Tensor, frame: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Both maps of a `frame` (H, W) at the smaller height and width of the two, bilinear.

    The coarser size costs less than the finer, and no detail is invented.
    """
    size = (min(student.shape[-2], teacher.shape[-2]), min(student.shape[-1], teacher.shape[-1]))
    return resize(student, size, frame), resize(teacher, size, frame)
