"""On which topics a bag's cameras are played."""

from pathlib import Path

import numpy as np
import pytest

from distill_perception.bags import message_types as kinds
from distill_perception.bags.reader import open_bag
from distill_perception.errors import ReplayError
from distill_perception.replay.topics import played_topics
from tests.support.bags import bag_of, compressed, image

COLOUR = np.zeros((4, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("topic", "types", "played"),
    [
        ("/cam/image_raw/compressed", {}, "/cam/image_raw"),
        ("/cam/jpeg", {"jpeg": kinds.COMPRESSED_IMAGE}, "/cam/jpeg/compressed"),
    ],
)
def test_topics_named_as_the_other_type_are_played_under_another_name(
    topic: str, types: dict[str, str], played: str, tmp_path: Path
) -> None:
    data = compressed(1, COLOUR, "png") if types else image(1, COLOUR, "bgr8")

    bag = open_bag(bag_of(tmp_path / "bag", [(topic, 1, data)], **types))

    assert played_topics(bag) == {topic: played}


@pytest.mark.parametrize("topic", ["/camera front/image-raw", "/compressed"])
def test_names_that_ros_does_not_take_cannot_be_played(topic: str, tmp_path: Path) -> None:
    bag = open_bag(bag_of(tmp_path / "bag", [(topic, 1, image(1, COLOUR, "bgr8"))]))

    with pytest.raises(ReplayError, match=r"has a name that no node can subscribe to.*--in-process"):
        played_topics(bag)
