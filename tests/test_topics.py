"""Names of result topics."""

import pytest

from distill_perception.errors import ConfigError
from distill_perception.topics import check_cameras, image_namespace, is_compressed, result_topic


@pytest.mark.parametrize(
    ("topic", "namespace"),
    [
        ("/camera/front/image_raw", "/camera/front"),
        ("/camera/front/image_raw/compressed", "/camera/front"),
        ("/image", ""),
    ],
)
def test_results_go_to_the_images_namespace(topic: str, namespace: str) -> None:
    assert image_namespace(topic) == namespace
    assert result_topic(topic, "mask") == f"{namespace}/perception/mask"


def test_only_image_transports_name_means_compressed() -> None:
    assert is_compressed("/a/image/compressed")
    assert not is_compressed("/compressed_camera/image")


def test_no_camera_is_refused() -> None:
    with pytest.raises(ConfigError, match="'cameras' is empty"):
        check_cameras([])


def test_cameras_whose_results_would_collide_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"share the namespace '/a'"):
        check_cameras(["/a/image_raw", "/b/image_raw", "/a/image_raw/compressed"])
    check_cameras(["/a/image_raw", "/b/image_raw"])
