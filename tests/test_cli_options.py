"""What the commands' options and arguments refuse, in words."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from distill_perception.cli import app, main
from distill_perception.errors import ConfigError
from tests.support import drives
from training.home import home_expanded


def refusal(*words: object) -> str:
    """What a command says as it exits with 2."""
    done = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).invoke(app, [*map(str, words)])
    assert done.exit_code == 2, done.output
    return " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("number", ["inf", "nan"])
@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("record", "/cam/image_raw", "bag"), "--seconds"),
        (("replay", "bag"), "--rate"),
        (("replay", "bag"), "--answer-timeout"),
        (("bag", "drive", "bag"), "--rate"),
        (("run",), "--max-age-ms"),
    ],
)
def test_a_number_that_is_not_finite_is_refused(words: tuple[str, ...], option: str, number: str) -> None:
    assert f"Invalid value for '{option}'" in refusal(*words, option, number)


def test_a_rate_at_which_stamps_would_not_differ_is_refused(tmp_path: Path) -> None:
    folder = drives.write_folder(tmp_path / "drive", frames=1)

    assert "at most 1000 Hz, not 1e+12" in refusal("bag", folder, tmp_path / "bag", "--rate", "1e12")
    assert [item.name for item in tmp_path.iterdir()] == ["drive"]


@pytest.mark.parametrize("text", ["foo", "foo=1", "foo:=", ":=1", "a-b:=1"])
@pytest.mark.parametrize("words", [("run",), ("replay", "bag")])
def test_a_parameter_that_is_no_assignment_is_refused(words: tuple[str, ...], text: str) -> None:
    assert f"'{text}' is not NAME:=VALUE" in refusal(*words, "-p", text)


@pytest.mark.parametrize("value", ["[1", "'a", "@a", "a: b: c"])
@pytest.mark.parametrize("words", [("run",), ("replay", "nowhere")])
def test_a_parameter_whose_value_is_no_yaml_is_named_with_what_helps(
    words: tuple[str, ...], value: str
) -> None:
    said = refusal(*words, "-p", f"perception:bundle:={value}")

    assert f"parameter 'bundle': {value!r} is not valid YAML" in said
    assert """put a text in double quotes: -p 'bundle:="TEXT"'""" in said


@pytest.mark.parametrize(
    "text",
    [
        "max_age_ms:=200",
        "qos_reliability:='/a:=b'",
        "perception:score_threshold:=0",
        "qos_overrides./a/b.depth:=1",
    ],
)
def test_parameters_as_ros_takes_them_pass(text: str) -> None:
    assert "nowhere: no such bag" in refusal("replay", "nowhere", "-p", text)


def test_an_argument_that_is_not_utf8_is_named_before_anything_is_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["distill-perception", "bag", "drive\udcff.mp4", "bag"])
    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: drive\\xff.mp4: this name is not UTF-8; rename it\n"


def test_the_offline_half_refuses_it_too() -> None:
    with pytest.raises(ConfigError, match=r"--out=\\xff: this name is not UTF-8"):
        home_expanded(["train", "recipe.yaml", "--out=\udcff"])
