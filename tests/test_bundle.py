from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.external_data_helper
import pytest
import yaml

from distill_perception import bundle as bundle_module
from distill_perception.bundle import (
    Bundle,
    load_bundle,
    read_manifest,
    sha256_of,
    write_manifest,
)
from distill_perception.errors import BundleError
from tests.support.tiny_bundle import write_tiny_bundle

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return write_tiny_bundle(tmp_path / "tiny", ("segmentation", "detection"))


def edit_manifest(folder: Path, edit: Edit) -> None:
    file = folder / "manifest.yaml"
    data = yaml.safe_load(file.read_text())
    edit(data)
    file.write_text(yaml.safe_dump(data))


def refusal(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)
    return str(caught.value)


def test_a_written_manifest_reads_back_equal(tiny: Path, tmp_path: Path) -> None:
    manifest = load_bundle(tiny).manifest
    write_manifest(tmp_path / "again.yaml", manifest)
    assert read_manifest(tmp_path / "again.yaml") == manifest


def test_sha256_is_the_standard_one(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_manifest_file_itself_may_be_given(tiny: Path) -> None:
    assert load_bundle(tiny / "manifest.yaml").path == tiny


def test_an_installed_bundle_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bundle_module, "share_path", lambda part: tmp_path / "share" / part)
    folder = write_tiny_bundle(tmp_path / "share" / "models" / "tiny")
    assert load_bundle("tiny").path == folder


def test_a_folder_that_is_no_bundle_does_not_hide_the_installed_one_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bundle_module, "share_path", lambda part: tmp_path / "share" / part)
    folder = write_tiny_bundle(tmp_path / "share" / "models" / "tiny")
    run = tmp_path / "runs" / "tiny"
    run.mkdir(parents=True)
    monkeypatch.chdir(run.parent)

    assert load_bundle("tiny").path == folder
    assert "tiny: the folder of that name here is no bundle; the shipped one is taken" in caplog.text
    for meant in ("./tiny", run):
        with pytest.raises(BundleError, match="tiny: has no manifest"):
            load_bundle(meant)
    write_tiny_bundle(run)
    assert load_bundle("tiny").path == Path("tiny")


def test_an_unknown_name_lists_the_installed_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bundle_module, "share_path", lambda part: tmp_path / "share" / part)
    write_tiny_bundle(tmp_path / "share" / "models" / "tiny")
    with pytest.raises(BundleError, match=r"'tony'.*installed: tiny"):
        load_bundle("tony")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: bundle folder not found"


def test_a_folder_without_manifest_is_not_a_bundle(tmp_path: Path) -> None:
    assert "has no manifest.yaml" in refusal(tmp_path)


def test_another_file_is_not_a_bundle(tiny: Path) -> None:
    assert "give the folder that holds manifest.yaml" in refusal(tiny / "student.onnx")


def test_a_missing_model_file_is_named_with_its_precision(tiny: Path) -> None:
    (tiny / "student.onnx").unlink()
    message = refusal(tiny)
    assert str(tiny / "student.onnx") in message
    assert "'fp32'" in message


def test_a_changed_model_file_is_refused_with_both_hashes(tiny: Path) -> None:
    before = sha256_of(tiny / "student.onnx")
    with (tiny / "student.onnx").open("ab") as stream:
        stream.write(b"x")
    message = refusal(tiny)
    assert before in message
    assert sha256_of(tiny / "student.onnx") in message
    assert load_bundle(tiny, verify=False).manifest.name == "tiny"


@pytest.mark.parametrize("kind", ["initializer", "constant", "constant of a subgraph"])
def test_a_model_with_weights_in_another_file_is_refused(tiny: Path, kind: str) -> None:
    file = tiny / "student.onnx"
    model = onnx.load(str(file))
    tensor = onnx.numpy_helper.from_array(np.zeros(300, np.float32), "weights")
    onnx.external_data_helper.set_external_data(tensor, "student.onnx.data")
    tensor.ClearField("raw_data")
    constant = onnx.helper.make_node("Constant", [], ["weights"], value=tensor)
    if kind == "initializer":
        model.graph.initializer.append(tensor)
    elif kind == "constant":
        model.graph.node.append(constant)
    else:
        branch = onnx.helper.make_graph([constant], "branch", [], [])
        model.graph.node.append(onnx.helper.make_node("If", ["c"], ["y"], then_branch=branch))
    file.write_bytes(model.SerializeToString())
    edit_manifest(tiny, lambda data: data["precisions"]["fp32"].update(sha256=sha256_of(file)))

    message = refusal(tiny)

    assert str(file) in message
    assert "weights in other files" in message
    assert "save it as one file" in message


def test_an_unknown_precision_lists_the_known_ones(tiny: Path) -> None:
    with pytest.raises(BundleError, match="no precision 'int8'; it has: fp32"):
        load_bundle(tiny).model_path("int8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1", "is not valid YAML"),
        ("- 1\n- 2\n", "must hold a mapping of keys to values, found list"),
        ("", "must hold a mapping of keys to values, found NoneType"),
        ("name: x\n", "key 'schema_version' is missing"),
        ("a: !!python/object/apply:os.getcwd []", "is not valid YAML"),
    ],
)
def test_a_manifest_that_is_no_mapping_is_refused(tiny: Path, text: str, expected: str) -> None:
    (tiny / "manifest.yaml").write_text(text)
    assert expected in refusal(tiny)


def test_a_manifest_that_is_not_text_is_refused(tiny: Path) -> None:
    (tiny / "manifest.yaml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read as text" in refusal(tiny)


@pytest.mark.parametrize("version", [0, 2, "1", True])
def test_an_unknown_schema_version_is_refused_with_the_remedy(tiny: Path, version: object) -> None:
    edit_manifest(tiny, lambda data: data.update(schema_version=version))
    message = refusal(tiny)
    assert f"schema_version {version!r} is not known; this release reads version 1" in message
    assert "update distill_perception" in message


def _drop(key: str) -> Edit:
    return lambda data: data.pop(key)


def _rename(old: str, new: str, *path: str) -> Edit:
    def edit(data: dict[str, Any]) -> None:
        for part in path:
            data = data[part]
        data[new] = data.pop(old)

    return edit


def _set(value: object, *path: str | int) -> Edit:
    def edit(data: Any) -> None:
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (_drop("license"), "license: Field required"),
        (_rename("classes", "clases"), "unknown key 'clases' (did you mean 'classes'?)"),
        (_rename("height", "hieght", "input"), "input: unknown key 'hieght' (did you mean 'height'?)"),
        (_set(1, "zzzzzz"), "unknown key 'zzzzzz' (known keys: schema_version, name, "),
        (_set(1, "classes", 2, "id"), "class ids used twice: 1"),
        (_set(5, "classes", 2, "id"), "must count up from 0 without gaps, in order; found [0, 1, 5]"),
        (_set("red", "classes", 1, "name"), "class names used twice: red"),
        (_set([1, 2], "classes", 1, "color"), "classes.1.color"),
        (_set([1, 2, 256], "classes", 1, "color"), "classes.1.color.2"),
        (_set("person", "classes", 1, "kind"), "classes.1.kind"),
        (_set(2, "void_id"), "void_id 2 is also the id of class 'blue'"),
        (_set([], "tasks"), "tasks"),
        (_set(["depth"], "tasks"), "tasks.0"),
        (_set({}, "precisions"), "precisions"),
        (_set("abc", "precisions", "fp32", "sha256"), "precisions.fp32.sha256"),
        (_set("../../etc/passwd", "precisions", "fp32", "file"), "must be a relative path inside the bundle"),
        (_set("/etc/passwd", "precisions", "fp32", "file"), "must be a relative path inside the bundle"),
        (_set("a/../../b", "precisions", "fp32", "file"), "must be a relative path inside the bundle"),
        (_set("..\\b", "precisions", "fp32", "file"), "must be a relative path inside the bundle"),
        (_set("", "precisions", "fp32", "file"), "must be a relative path inside the bundle"),
        (_set("../up", "name"), "name"),
        (_set(0, "input", "height"), "input.height"),
        (_set("grey", "input", "channel_order"), "input.channel_order"),
    ],
)
def test_an_invalid_manifest_is_refused_by_key(tiny: Path, edit: Edit, expected: str) -> None:
    edit_manifest(tiny, edit)
    message = refusal(tiny)
    assert expected in message
    assert str(tiny / "manifest.yaml") in message


def test_a_bundle_of_links_is_accepted(tiny: Path, tmp_path: Path) -> None:
    # colcon build --symlink-install installs bundles so.
    linked = tmp_path / "linked"
    linked.mkdir()
    for file in tiny.iterdir():
        (linked / file.name).symlink_to(file)
    assert load_bundle(linked).manifest.name == "tiny"


@pytest.mark.parametrize(
    ("has", "device", "expected"),
    [
        (("fp32",), "cpu", "fp32"),
        (("fp32", "int8"), "cpu", "int8"),
        (("fp32", "fp16", "int8"), "cuda:0", "fp16"),
        (("bf16",), "cpu", "bf16"),
    ],
)
def test_auto_stands_for_the_fastest_precision_that_the_bundle_has(
    tiny: Path, has: tuple[str, ...], device: str, expected: str
) -> None:
    manifest = load_bundle(tiny).manifest
    files = dict.fromkeys(has, manifest.precisions["fp32"])
    bundle = Bundle(tiny, manifest.model_copy(update={"precisions": files}))
    assert bundle.resolve_precision("auto", device) == expected
    assert bundle.resolve_precision("fp32", device) == "fp32"
