"""What every engine must do, whichever it is: one contract, each engine run through all of it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from distill_perception.bundle import Bundle, load_bundle
from distill_perception.engines import ENGINES, Engine, EngineSettings, engine_problems, open_engine
from distill_perception.errors import BundleError, EngineError
from tests.support.tiny_bundle import LABELS, SCORES, box_pixels, tiny_model, write_tiny_bundle

HEIGHT, WIDTH = 48, 64


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.gpu] if name == "tensorrt" else []) for name in ENGINES]
)
def engine_name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    problem = engine_problems(device_of(name))[name]
    if problem is not None:
        pytest.skip(f"LOUD: {name} NOT TESTED: {problem}")
    monkeypatch.setenv("DISTILL_PERCEPTION_CACHE", str(tmp_path / "cache"))
    return name


def device_of(engine_name: str) -> str:
    return "cuda" if engine_name == "tensorrt" else "cpu"


def settings_for(engine_name: str, **settings: Any) -> EngineSettings:
    return EngineSettings(**{"device": device_of(engine_name), **settings})


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return load_bundle(write_tiny_bundle(tmp_path / "b", ("segmentation", "detection"), HEIGHT, WIDTH))


@pytest.fixture
def engine(engine_name: str, bundle: Bundle) -> Engine:
    return open_engine(bundle, engine_name, settings_for(engine_name, threads=1, max_batch=3))


def random_frames(count: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(count).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize("count", [1, 3])
def test_outputs_are_the_graphs_for_any_batch_size(engine: Engine, count: int) -> None:
    frames = random_frames(count)
    outputs = engine.infer(frames)
    assert list(outputs) == ["mask", "confidence", "boxes", "scores", "labels"]
    np.testing.assert_array_equal(outputs["mask"], frames.argmax(axis=3))
    np.testing.assert_array_equal(outputs["confidence"], frames.max(axis=3))
    np.testing.assert_array_equal(outputs["boxes"], np.stack([box_pixels(HEIGHT, WIDTH)] * count))
    np.testing.assert_array_equal(outputs["scores"], np.stack([SCORES] * count))
    np.testing.assert_array_equal(outputs["labels"], np.stack([LABELS] * count))
    found = {name: value.dtype.name for name, value in outputs.items()}
    assert found == {
        "mask": "uint8",
        "confidence": "uint8",
        "boxes": "float32",
        "scores": "float32",
        "labels": "int64",
    }


def test_batch_sizes_may_change_from_call_to_call(engine: Engine) -> None:
    for count in (1, 3, 2, 1, 3):
        frames = random_frames(count)
        np.testing.assert_array_equal(engine.infer(frames)["mask"], frames.argmax(axis=3))


def test_a_graph_of_just_two_frames_runs_as_often_as_needed_and_filled_up_with_black(
    engine_name: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(str(bundle.model_path()))
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(model, str(bundle.model_path()))
    spec = bundle.manifest.input.model_copy(update={"batch": 2})
    pairs = Bundle(bundle.path, bundle.manifest.model_copy(update={"input": spec}))
    opened = open_engine(pairs, engine_name, settings_for(engine_name, max_batch=5))
    ran: list[np.ndarray[Any, np.dtype[np.uint8]]] = []
    run = opened._run
    monkeypatch.setattr(opened, "_run", lambda frames: ran.append(frames.copy()) or run(frames))

    for count in (1, 2, 5):
        frames = random_frames(count)
        ran.clear()
        outputs = opened.infer(frames)
        np.testing.assert_array_equal(outputs["mask"], frames.argmax(axis=3))
        np.testing.assert_array_equal(outputs["confidence"], frames.max(axis=3))
        assert len(outputs["boxes"]) == count
        padding = np.zeros((-count % 2, HEIGHT, WIDTH, 3), np.uint8)
        np.testing.assert_array_equal(np.concatenate(ran), np.concatenate([frames, padding]))
        assert {len(part) for part in ran} == {2}


def test_frames_that_are_a_strided_view_are_read_right(engine: Engine) -> None:
    view = random_frames(2)[:, ::-1]
    np.testing.assert_array_equal(engine.infer(view)["mask"], view.argmax(axis=3))


def test_frames_that_are_read_only_are_read_right(engine: Engine) -> None:
    frames = random_frames(1)
    frames.flags.writeable = False
    np.testing.assert_array_equal(engine.infer(frames)["mask"], frames.argmax(axis=3))


def test_a_bundle_of_one_task_yields_its_outputs_only(engine_name: str, tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "boxes", ("detection",), HEIGHT, WIDTH)
    opened = open_engine(load_bundle(folder), engine_name, settings_for(engine_name))
    outputs = opened.infer(random_frames(1))
    assert list(outputs) == ["boxes", "scores", "labels"]


def test_it_says_what_it_is(engine: Engine, engine_name: str) -> None:
    assert engine.name == engine_name
    assert engine.input_size == (HEIGHT, WIDTH)
    assert engine.description.startswith(engine_name)
    assert engine.description.endswith(f"{device_of(engine_name)}, fp32")


def test_warming_up_leaves_it_usable(engine: Engine) -> None:
    engine.warm_up()
    assert engine.infer(random_frames(1))["mask"].shape == (1, HEIGHT, WIDTH)


@pytest.mark.parametrize(("runs", "expected"), [(0, []), (1, [1, 2]), (3, [1, 1, 1, 2, 2, 2])])
def test_opening_warms_each_batch_size_up_as_often_as_the_settings_say(
    engine_name: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, runs: int, expected: list[int]
) -> None:
    sizes: list[int] = []
    infer = Engine.infer

    def noting(self: Engine, frames: np.ndarray) -> object:
        sizes.append(len(frames))
        return infer(self, frames)

    monkeypatch.setattr(Engine, "infer", noting)
    open_engine(bundle, engine_name, settings_for(engine_name, max_batch=2, warm_up=runs))
    assert sizes == expected


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (np.zeros((1, HEIGHT, WIDTH, 3), np.float32), "must be a uint8 array, found float32"),
        ([[1]], "must be a uint8 array, found list"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), "must have shape [N,48,64,3], found [48, 64, 3]"),
        (np.zeros((1, WIDTH, HEIGHT, 3), np.uint8), "must have shape [N,48,64,3], found [1, 64, 48, 3]"),
        (np.zeros((1, HEIGHT, WIDTH, 4), np.uint8), "must have shape [N,48,64,3], found [1, 48, 64, 4]"),
        (np.zeros((0, HEIGHT, WIDTH, 3), np.uint8), "must have shape [N,48,64,3], found [0, 48, 64, 3]"),
    ],
)
def test_wrong_input_is_refused_alike(engine: Engine, engine_name: str, frames: Any, expected: str) -> None:
    with pytest.raises(EngineError) as caught:
        engine.infer(frames)
    assert str(caught.value) == f"engine {engine_name}: 'images' {expected}"


def test_more_frames_than_it_was_opened_for_are_refused(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"opened for 3 frame.s. at once, found 4.*max_batch"):
        engine.infer(random_frames(4))


def test_a_closed_engine_says_so_and_may_be_closed_again(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="is closed"):
        engine.infer(random_frames(1))


@pytest.mark.parametrize("content", [b"", b"not an onnx file", b"\x08\x08\x12" + b"\xff" * 200])
def test_a_corrupt_model_file_is_an_engine_error_naming_it(
    engine_name: str, bundle: Bundle, content: bytes
) -> None:
    bundle.model_path().write_bytes(content)
    with pytest.raises(EngineError) as caught:
        open_engine(bundle, engine_name, settings_for(engine_name))
    assert f"{engine_name} cannot " in str(caught.value)
    assert str(bundle.model_path()) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_model_file_is_refused(engine_name: str, bundle: Bundle) -> None:
    content = bundle.model_path().read_bytes()
    bundle.model_path().write_bytes(content[: len(content) // 2])
    with pytest.raises((EngineError, BundleError)):
        open_engine(bundle, engine_name, settings_for(engine_name))


def test_class_names_in_the_graph_are_compared(engine_name: str, tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "other", metadata_classes=("cat", "dog", "cow"))
    with pytest.raises(BundleError, match=r"classes do not match the graph's.*'cat', 'dog', 'cow'"):
        open_engine(load_bundle(folder), engine_name, settings_for(engine_name))


def test_a_graph_without_class_names_is_refused(engine_name: str, tmp_path: Path) -> None:
    folder = write_tiny_bundle(tmp_path / "plain", metadata_classes=None)
    with pytest.raises(BundleError, match=r"does not say its classes: its metadata must hold 'classes'"):
        open_engine(load_bundle(folder), engine_name, settings_for(engine_name))


def test_a_graph_of_another_input_size_is_refused(engine_name: str, bundle: Bundle) -> None:
    onnx.save(tiny_model(("segmentation", "detection"), 24, 32), str(bundle.model_path()))
    with pytest.raises(BundleError, match=r"must be uint8 \[\?,48,64,3\]; .* has uint8 \[.*,24,32,3\]"):
        open_engine(bundle, engine_name, settings_for(engine_name))


def test_a_graph_with_a_float_mask_is_refused(engine_name: str, tmp_path: Path) -> None:
    loaded = load_bundle(write_tiny_bundle(tmp_path / "f"))
    model = tiny_model()
    graph = model.graph
    graph.node.append(helper.make_node("Cast", ["ids"], ["float_mask"], to=TensorProto.FLOAT))
    del graph.output[0]
    graph.output.append(helper.make_tensor_value_info("float_mask", TensorProto.FLOAT, ["N", HEIGHT, WIDTH]))
    for node in graph.node:
        node.output[:] = [{"mask": "unused", "float_mask": "mask"}.get(name, name) for name in node.output]
    graph.output[-1].name = "mask"
    onnx.save(model, str(loaded.model_path()))
    with pytest.raises(BundleError, match=r"'mask' must be uint8 .*; the graph has float32"):
        open_engine(loaded, engine_name, settings_for(engine_name))


def test_an_unknown_precision_is_refused(engine_name: str, bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="no precision 'int8'"):
        open_engine(bundle, engine_name, settings_for(engine_name, precision="int8"))


def test_an_unknown_device_is_refused(engine_name: str, bundle: Bundle) -> None:
    with pytest.raises(EngineError, match=f"engine '{engine_name}' is not available: .*device 'abacus'"):
        open_engine(bundle, engine_name, EngineSettings(device="abacus"))
