"""Resizing feature maps: every cell stays where it is in the picture."""

import pytest
import torch

from training.models.layers import enlarge
from training.models.outputs import upsample, whole_stride


def centres(pixels: int, stride: int) -> torch.Tensor:
    """Each cell's centre in pixels, float [1,1,cells,1]; sides are rounded up, as strided convolutions do."""
    cells = -(-pixels // stride)
    return ((torch.arange(cells) + 0.5) * stride)[None, None, :, None]


@pytest.mark.parametrize("pixels", [352, 360, 375])
@pytest.mark.parametrize(("coarse", "fine"), [(32, 16), (16, 8), (16, 4), (4, 1)])
def test_an_enlarged_map_of_places_tells_the_places_of_the_finer_cells(
    pixels: int, coarse: int, fine: int
) -> None:
    expected = centres(pixels, fine)
    x = centres(pixels, coarse).expand(-1, -1, -1, 3)
    found = enlarge(x, coarse // fine, (expected.shape[2], 2 * coarse // fine))
    assert found.shape == (1, 1, expected.shape[2], 2 * coarse // fine)
    inner = slice(coarse // fine, -coarse // fine)  # half a coarse cell at both ends cannot be interpolated
    torch.testing.assert_close(found[:, :, inner, :1], expected[:, :, inner])


def test_logits_of_a_frame_that_their_stride_does_not_divide_stay_in_place() -> None:
    x = centres(375, 4).expand(-1, -1, -1, 5)
    found = upsample(x, 375, 20)
    torch.testing.assert_close(found[:, :, 4:-4, :1], centres(375, 1)[:, :, 4:-4])


def test_logits_of_a_resized_frame_are_stretched() -> None:
    """A Hugging Face teacher that works at 512x512 gives 128x128 for every frame."""
    x = ((torch.arange(128) + 0.5) / 128)[None, None, :, None].expand(-1, -1, -1, 128)
    found = upsample(x, 360, 480)
    assert found.shape == (1, 1, 360, 480)
    expected = ((torch.arange(360) + 0.5) / 360)[4:-4]
    torch.testing.assert_close(found[0, 0, 4:-4, 0], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("cells", "frame", "stride"),
    [
        ((90, 120), (360, 480), 4),
        ((12, 15), (360, 480), 32),  # 12 rows alone would also be those of stride 30
        ((2, 2), (5, 7), 4),
        ((1, 2), (20, 40), 32),
        ((12, 16), (360, 480), 30),
        ((13, 15), (360, 480), None),
        ((480, 640), (360, 480), None),
    ],
)
def test_the_stride_of_a_map_is_that_of_both_its_sides(
    cells: tuple[int, int], frame: tuple[int, int], stride: int | None
) -> None:
    assert whole_stride(cells, frame) == stride
