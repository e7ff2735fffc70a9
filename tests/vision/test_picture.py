"""Which pictures are cameras', by encoding and image_transport's format; the pixels of raw ones."""

import numpy as np
import pytest

from distill_perception.errors import ImageError
from distill_perception.vision.color import convert
from distill_perception.vision.picture import compressed_problem, raw_problem, view_raw

# Y, U and V of pure colours by ITU-R BT.601, 16 to 235
PURE = {
    "red": {"R": 255, "G": 0, "B": 0, "Y": 81, "U": 90, "V": 240},
    "green": {"R": 0, "G": 255, "B": 0, "Y": 145, "U": 54, "V": 34},
    "blue": {"R": 0, "G": 0, "B": 255, "Y": 41, "U": 240, "V": 110},
}
# What each byte of a picture of 4x4 pixels holds, row by row
BYTES = {
    "yuyv": ["YUYVYUYV"] * 4,
    "yuv422_yuy2": ["YUYVYUYV"] * 4,
    "uyvy": ["UYVYUYVY"] * 4,
    "yuv422": ["UYVYUYVY"] * 4,
    "nv12": ["YYYY"] * 4 + ["UVUV"] * 2,
    "nv21": ["YYYY"] * 4 + ["VUVU"] * 2,
    "bayer_rggb8": ["RGRG", "GBGB"] * 2,
    "bayer_bggr8": ["BGBG", "GRGR"] * 2,
    "bayer_gbrg8": ["GBGB", "RGRG"] * 2,
    "bayer_grbg8": ["GRGR", "BGBG"] * 2,
}


@pytest.mark.parametrize(
    "kind",
    [
        "jpeg",
        "png",
        "unknown",
        "",
        "bgr8; jpeg compressed bgr8",
        "mono8; jpeg compressed ",
        "8UC1; png compressed ",
        "rgb16; jpeg compressed bgr8",
        "bayer_rggb8; jpeg compressed bgr8",
        "bayer_rggb8; jpeg compressed mono8",  # cv_bridge makes grey of the mosaic
    ],
)
def test_colour_and_grey_pictures_are_taken(kind: str) -> None:
    assert compressed_problem(kind) == ""


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("16UC1; compressedDepth png", "is a depth image"),
        ("16UC1; png compressed ", "is not of 8 bits"),
        ("16UC1; jpeg compressed ", "is not of 8 bits"),
        ("16UC1; jpeg compressed mono8", "is not of 8 bits"),
        ("32FC1; tiff compressed ", "is not of 8 bits"),
        ("mono16; png compressed ", "is not of 8 bits"),
        ("bayer_rggb8; jpeg compressed ", "is a Bayer mosaic"),
        ("bayer_grbg16; png compressed ", "is a Bayer mosaic"),
    ],
)
def test_depth_and_mosaics_are_not_taken(kind: str, said: str) -> None:
    assert f"format '{kind}' {said}" in compressed_problem(kind)


@pytest.mark.parametrize("encoding", ["bayer_gbrg16", "nv24"])
def test_for_raw_pictures_that_can_be_made_colour_it_is_said_how(encoding: str) -> None:
    assert "convert it to colour first, with image_proc for example" in raw_problem(encoding)


def test_opencvs_names_of_8_bit_pictures_are_taken_and_depth_gets_no_remedy() -> None:
    assert [raw_problem(encoding) for encoding in ("8UC1", "8UC3", "8UC4")] == [""] * 3
    assert raw_problem("16UC1").startswith("encoding '16UC1' is not supported; supported: bgr8, rgb8")
    assert "image_proc" not in raw_problem("16UC1")


@pytest.mark.parametrize("colour", PURE)
@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("encoding", BYTES)
def test_a_pure_colour_stays_what_it_is(encoding: str, padding: int, colour: str) -> None:
    values = PURE[colour]
    data = b"".join(bytes(values[what] for what in row) + b"\x4d" * padding for row in BYTES[encoding])

    pixels = convert(*view_raw(4, 4, encoding, len(BYTES[encoding][0]) + padding, data), "rgb")

    assert pixels.shape == (4, 4, 3)
    assert np.abs(pixels.astype(int) - [values["R"], values["G"], values["B"]]).max() <= 3


def test_the_colours_of_two_planes_are_where_they_belong() -> None:
    red, blue = PURE["red"], PURE["blue"]
    luma, chroma = bytes([red["Y"]] * 2 + [blue["Y"]] * 4), bytes(red[c] for c in "UV")
    chroma += bytes(blue[c] for c in "UVUV")

    pixels, encoding = view_raw(2, 6, "nv12", 6, luma * 2 + chroma)

    assert encoding == "bgr8"
    assert pixels.argmax(axis=2).tolist() == [[2, 2, 0, 0, 0, 0]] * 2


@pytest.mark.parametrize(
    ("height", "width", "step", "size", "said"),
    [
        (4, 5, 6, 36, "nv12 picture must be of even width and height, found 5x4: four pixels share a colour"),
        (3, 4, 4, 18, "even width and height, found 4x3"),
        (4, 6, 6, 24, "but step 6 times 6 rows (height 4 and half of it for colour) is 36"),
        (4, 6, 6, 37, "data has 37 bytes"),
        (4, 6, 5, 30, "step 5 is too small: 6 pixels of nv12 need 6 bytes"),
        (0, 6, 6, 0, "image of 6x0 pixels is empty"),
    ],
)
def test_malformed_pictures_of_two_planes_are_refused(
    height: int, width: int, step: int, size: int, said: str
) -> None:
    with pytest.raises(ImageError) as caught:
        view_raw(height, width, "nv12", step, bytes(size))
    assert said in str(caught.value)


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "yuyv", "bayer_rggb8", "mono8"])
def test_pictures_of_one_plane_are_not_copied(encoding: str) -> None:
    data = bytes(4 * 13)
    pixels, same = view_raw(4, 4, encoding, 13, data)
    assert same == encoding
    assert np.shares_memory(pixels, np.frombuffer(data, np.uint8))
