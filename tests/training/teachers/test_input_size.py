"""Input sizes by preprocessor_config.json equal those of transformers' own functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.errors import TrainingError
from training.teachers.huggingface.input_size import checkpoint_size, image_size

tf = pytest.importorskip("transformers", reason="HF teachers NOT TESTED: pip install transformers")
sides = st.integers(16, 2000)


@given(sides, sides, st.integers(16, 900), st.integers(900, 1500))
def test_edges_are_rounded_as_transformers_rounds_them(
    height: int, width: int, short: int, longest: int
) -> None:
    from transformers.image_transforms import get_size_with_aspect_ratio

    size = {"shortest_edge": short, "longest_edge": longest}
    assert checkpoint_size({"size": size}, height, width) == get_size_with_aspect_ratio(
        (height, width), short, longest
    )


def test_forms_of_the_size_rule() -> None:
    assert checkpoint_size({"size": {"height": 512, "width": 640}}, 360, 480) == (512, 640)
    assert checkpoint_size({"size": 512}, 360, 480) == (512, 512)
    assert checkpoint_size({"size": 800, "max_size": 1333}, 360, 480) == (800, 1066)
    assert checkpoint_size({"size": {"shortest_edge": 513}}, 360, 480) == (513, 684)
    assert checkpoint_size(
        {"size": {"shortest_edge": 800, "longest_edge": 1333}, "size_divisor": 32}, 360, 480
    ) == (
        800,
        1088,
    )
    assert checkpoint_size({"do_resize": False, "size": 512}, 360, 480) == (360, 480)
    assert image_size(360, 480) == (384, 480)


def test_rules_that_would_miss_part_of_the_frame_ask_for_a_size() -> None:
    for config in (
        {"do_split_image": True, "size": 640},
        {"do_pad": True, "pad_size": {"height": 9}, "size": 9},
    ):
        with pytest.raises(TrainingError, match=r"give the height and width .* `size: \[H, W\]`"):
            checkpoint_size(config, 360, 480)
    with pytest.raises(TrainingError, match="which is not known"):
        checkpoint_size({"size": {"edge": 3}}, 360, 480)
