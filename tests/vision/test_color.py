import numpy as np
import pytest

from distill_perception.errors import ImageError
from distill_perception.vision.color import CHANNELS, check_picture, convert, shares_colours
from tests.support.encodings import SHARING

RED, GREEN, BLUE, ALPHA = 10, 20, 30, 99
PIXEL = {
    "bgr8": [BLUE, GREEN, RED],
    "rgb8": [RED, GREEN, BLUE],
    "bgra8": [BLUE, GREEN, RED, ALPHA],
    "rgba8": [RED, GREEN, BLUE, ALPHA],
    "mono8": [40],
    "8UC3": [BLUE, GREEN, RED],
    "8UC4": [BLUE, GREEN, RED, ALPHA],
    "8UC1": [40],
}


def picture(encoding: str) -> np.ndarray:
    pixels = np.full((4, 5, CHANNELS[encoding]), PIXEL[encoding], np.uint8)
    return pixels[:, :, 0] if CHANNELS[encoding] == 1 else pixels


@pytest.mark.parametrize("encoding", PIXEL)
@pytest.mark.parametrize("order", ["rgb", "bgr"])
@pytest.mark.parametrize("given", [True, False])
def test_every_encoding_reaches_the_models_order(encoding: str, order: str, given: bool) -> None:
    wanted = [40] * 3 if CHANNELS[encoding] == 1 else PIXEL[f"{order}8"]
    out = np.zeros((6, 7, 3), np.uint8)[1:5, 1:6] if given else None
    result = convert(picture(encoding), encoding, order, out)  # type: ignore[arg-type]
    assert (result == wanted).all()
    if out is not None:
        assert (out == wanted).all()


def test_no_encoding_is_left_untested() -> None:
    assert CHANNELS.keys() == PIXEL.keys() | SHARING.keys()


@pytest.mark.parametrize("encoding", SHARING)
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_pixels_that_share_colours_get_them_back(encoding: str, order: str) -> None:
    rgb = np.full((6, 8, 3), [200, 90, 40], np.uint8)
    rgb[:, 4:] = [20, 60, 230]
    seen = convert(SHARING[encoding](rgb), encoding, order)  # type: ignore[arg-type]
    wrong = np.abs(seen.astype(int) - (rgb if order == "rgb" else rgb[..., ::-1])).max(axis=-1)
    assert wrong[:, [0, 1, 2, 5, 6, 7]].max() <= 3  # a mosaic's missing values are those of its neighbours


@pytest.mark.parametrize("size", [(3, 3), (5, 8), (4, 7), (5, 7)])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_may_have_odd_sides(pattern: str, size: tuple[int, int]) -> None:
    encoding, rgb = f"bayer_{pattern}8", np.full((*size, 3), [200, 90, 40], np.uint8)
    np.testing.assert_array_equal(convert(SHARING[encoding](rgb), encoding, "rgb"), rgb)


def test_encodings_whose_pixels_share_colours_are_known() -> None:
    assert all(shares_colours(encoding) for encoding in (*SHARING, "nv12", "nv21"))
    assert not any(shares_colours(encoding) for encoding in PIXEL)


def test_a_read_only_strided_picture_is_converted() -> None:
    wide = np.frombuffer(bytes(range(120)), np.uint8).reshape(4, 10, 3)
    np.testing.assert_array_equal(convert(wide[:, :6], "bgr8", "rgb"), wide[:, :6, ::-1])


@pytest.mark.parametrize(
    ("shape", "dtype", "encoding", "expected"),
    [
        ((4, 5, 3), np.uint8, "nv24", "encoding 'nv24' is not supported; supported: bgr8, rgb8"),
        ((4, 5, 2), np.uint8, "yuyv", "yuyv picture must be of even width, found 5"),
        ((4, 6, 3), np.uint8, "yuyv", "must be uint8 [H,W,2], found [4, 6, 3]"),
        ((4, 5, 3), np.uint16, "bgr8", "must be uint8 [H,W,3], found uint16 [4, 5, 3]"),
        ((4, 5, 4), np.uint8, "bgr8", "must be uint8 [H,W,3], found [4, 5, 4]"),
        ((4, 5), np.uint8, "rgba8", "must be uint8 [H,W,4], found [4, 5]"),
        ((4, 5, 1), np.uint8, "mono8", "must be uint8 [H,W], found [4, 5, 1]"),
        ((0, 5, 3), np.uint8, "bgr8", "is empty"),
    ],
)
def test_a_malformed_picture_is_refused(
    shape: tuple[int, ...], dtype: type, encoding: str, expected: str
) -> None:
    with pytest.raises(ImageError) as caught:
        check_picture(np.zeros(shape, dtype), encoding)
    assert expected in str(caught.value)
