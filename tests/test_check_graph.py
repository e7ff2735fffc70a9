from pathlib import Path

import pytest

from distill_perception.bundle import Manifest, TensorSpec, check_graph, load_bundle
from distill_perception.errors import BundleError
from tests.support.tiny_bundle import write_tiny_bundle

INPUTS = (TensorSpec("images", "uint8", ("N", 48, 64, 3)),)
OUTPUTS = {
    "mask": TensorSpec("mask", "uint8", ("N", 48, 64)),
    "confidence": TensorSpec("confidence", "uint8", ("N", 12, 16)),
    "boxes": TensorSpec("boxes", "float32", ("N", 3, 4)),
    "scores": TensorSpec("scores", "float32", (None, None)),
    "labels": TensorSpec("labels", "int32", (None, 3)),
}
METADATA = {"classes": '["red", "green", "blue"]'}


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return load_bundle(write_tiny_bundle(tmp_path / "tiny", ("segmentation", "detection"))).manifest


def test_a_graph_that_keeps_the_contract_passes(manifest: Manifest) -> None:
    check_graph(manifest, INPUTS, tuple(OUTPUTS.values()), METADATA)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ((), "the one input 'images'; found none"),
        ((TensorSpec("input", "uint8", ("N", 48, 64, 3)),), "the one input 'images'; found input"),
        ((*INPUTS, TensorSpec("size", "int64", (2,))), "found images, size"),
        (
            (TensorSpec("images", "float32", ("N", 48, 64, 3)),),
            "must be uint8 [?,48,64,3]; the graph has float32",
        ),
        ((TensorSpec("images", "uint8", ("N", 3, 48, 64)),), "the graph has uint8 [N,3,48,64]"),
        ((TensorSpec("images", "uint8", ("N", 48, 64)),), "the graph has uint8 [N,48,64]"),
        (
            (TensorSpec("images", "uint8", (1, 48, 64, 3)),),
            "fixed batch size 1, the manifest's input.batch says any",
        ),
    ],
)
def test_a_graph_with_a_wrong_input_is_refused(
    manifest: Manifest, inputs: tuple[TensorSpec, ...], expected: str
) -> None:
    with pytest.raises(BundleError) as caught:
        check_graph(manifest, inputs, tuple(OUTPUTS.values()), METADATA)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        TensorSpec("mask", "int64", ("N", 48, 64)),
        TensorSpec("mask", "uint8", ("N", 24, 64)),
        TensorSpec("mask", "uint8", ("N", 1, 48, 64)),
        TensorSpec("confidence", "float32", ("N", 12, 16)),
        TensorSpec("boxes", "float32", ("N", 3, 5)),
        TensorSpec("scores", "float16", ("N", 3)),
        TensorSpec("labels", "float32", ("N", 3)),
    ],
)
def test_a_graph_with_a_wrong_output_is_refused(manifest: Manifest, wrong: TensorSpec) -> None:
    with pytest.raises(BundleError) as caught:
        check_graph(manifest, INPUTS, tuple((OUTPUTS | {wrong.name: wrong}).values()), METADATA)
    assert f"tensor '{wrong.name}' must be " in str(caught.value)
    assert f"the graph has {wrong}" in str(caught.value)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_graph_without_an_output_of_its_tasks_is_refused(manifest: Manifest, name: str) -> None:
    rest = tuple(spec for key, spec in OUTPUTS.items() if key != name)
    with pytest.raises(BundleError, match=f"needs the graph output '{name}'; found "):
        check_graph(manifest, INPUTS, rest, METADATA)


@pytest.mark.parametrize("text", ['["red", "green"]', '["green", "red", "blue"]', '{"red": 0}', "3"])
def test_a_class_list_unlike_the_graphs_is_refused(manifest: Manifest, text: str) -> None:
    with pytest.raises(BundleError, match=r"classes do not match the graph's; .*'red', 'green', 'blue'"):
        check_graph(manifest, INPUTS, tuple(OUTPUTS.values()), {"classes": text})


def test_class_metadata_that_is_no_json_is_refused(manifest: Manifest) -> None:
    with pytest.raises(BundleError, match="metadata 'classes' is not JSON"):
        check_graph(manifest, INPUTS, tuple(OUTPUTS.values()), {"classes": "red, green"})
