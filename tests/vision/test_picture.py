"""Which pictures are cameras', by their encoding and by the format that image_transport writes."""

import pytest

from distill_perception.vision.picture import compressed_problem, raw_problem


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


@pytest.mark.parametrize("encoding", ["bayer_gbrg16", "nv21", "nv24"])
def test_for_raw_pictures_that_can_be_made_colour_it_is_said_how(encoding: str) -> None:
    assert "convert it to colour first, with image_proc for example" in raw_problem(encoding)


def test_opencvs_names_of_8_bit_pictures_are_taken_and_depth_gets_no_remedy() -> None:
    assert [raw_problem(encoding) for encoding in ("8UC1", "8UC3", "8UC4")] == [""] * 3
    assert raw_problem("16UC1").startswith("encoding '16UC1' is not supported; supported: bgr8, rgb8")
    assert "image_proc" not in raw_problem("16UC1")
