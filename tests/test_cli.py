"""The command line: exit codes, messages, help, and life without ROS."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import distill_perception
from distill_perception import bundle_view, terminal
from distill_perception.cli import app
from distill_perception.engines import open_engine
from tests.support import drives
from tests.support.environ import with_checkout
from tests.support.tiny_bundle import write_tiny_bundle

TERMINAL = {"COLUMNS": "160", "NO_COLOR": "1", "TERM": "dumb"}


def command(*words: object) -> Result:
    """Run the command in this process: starting Python and importing takes most of a second."""
    return CliRunner(env=TERMINAL).invoke(app, [str(word) for word in words], prog_name="distill-perception")


def process(*words: object, blocked: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run it as a process of its own; modules that the folder `blocked` holds hide the real ones."""
    environ = with_checkout(*filter(None, [blocked]), **TERMINAL)
    line = [sys.executable, "-m", "distill_perception.cli", *map(str, words)]
    return subprocess.run(line, env=environ, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process rich has looked at COLUMNS before the test sets it."""
    for console in (terminal.OUT, terminal.ERR):
        monkeypatch.setattr(console, "_width", int(TERMINAL["COLUMNS"]))
        monkeypatch.setattr(console, "_height", 50)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny", ("segmentation", "detection"))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = drives.write_folder(tmp_path_factory.mktemp("drive") / "folder", frames=2)
    done = command("bag", folder, folder.parent / "bag", "--rate", 5)
    assert done.exit_code == 0, done.stderr
    assert "2 frames" in done.stdout
    return folder.parent / "bag"


@pytest.fixture
def no_ros(tmp_path: Path) -> Path:
    """A folder whose modules stand in for ROS's and cannot be imported."""
    for name in ("rclpy", "sensor_msgs", "diagnostic_msgs", "vision_msgs"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('no {name} here', name='{name}')\n")
    return tmp_path


def test_the_version_is_the_packages() -> None:
    done = process("--version")

    assert done.returncode == 0
    assert done.stdout.startswith(f"distill_perception {distill_perception.__version__}")


@pytest.mark.parametrize("name", ["run", "replay", "compare", "bag", "watch", "bundle", "engine"])
def test_every_command_is_listed_and_explains_itself(name: str) -> None:
    overview, done = command("--help"), command(name, "--help")

    assert overview.exit_code == done.exit_code == 0
    assert re.search(rf"^\W*{name} +\w", overview.stdout, re.MULTILINE)
    assert "Usage:" in done.stdout
    assert len(done.stdout.splitlines()) > 8


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("replay", "nowhere", "-b", "no_such_bundle"), "bundle 'no_such_bundle': no such folder"),
        (("bag", "nowhere", "out"), "nowhere: no such folder or video file"),
        (("bundle", "verify", "/nowhere"), "/nowhere: bundle folder not found"),
        (("bundle", "inspect", "~nobodyhere"), "bundle '~nobodyhere': no such folder"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(words: tuple[str, ...], message: str) -> None:
    done = command(*words)

    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_where_an_error_comes_from() -> None:
    done = process("--debug", "bag", "nowhere", "out")

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "BagError" in done.stderr


def test_an_unknown_option_is_refused_with_a_hint() -> None:
    done = command("replay", "bag", "--as-fast-as-posible")

    assert done.exit_code == 2
    assert "--as-fast-as-possible" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--in-process", "-p", "score_threshold:=0.99"), "--in-process does not use --param"),
        (("--in-process", "--rate", "2"), "--in-process does not use --rate"),
        (("--in-process", "--as-fast-as-possible"), "--in-process does not use --as-fast-as-possible"),
        (
            ("--attach", "--precision", "int8"),
            "--attach does not use --precision: the running node has its own",
        ),
        (("--attach", "--engine", "auto"), "--attach does not use --engine"),
        (("--attach", "-p", "threads:=1"), "--attach does not use --param"),
        (("--as-fast-as-possible", "--rate", "2"), "--as-fast-as-possible does not use --rate"),
        (("--in-process", "--attach"), "--in-process and --attach exclude each other"),
        (("--answer-timeout", "3"), "--answer-timeout is of --as-fast-as-possible"),
        (("-p", "bundle:=camvid_lite0_small"), "--param does not set bundle here; use --bundle"),
        (("-p", "perception:cameras:=[/a/b]"), "--param does not set cameras here; use --topic"),
        (("-p", "autostart:=false"), "--param does not set autostart"),
        (("-p", "score_treshold:=0.5"), "no parameter 'score_treshold' (did you mean 'score_threshold'?)"),
        (("--attach", "--node", "bad name"), "--node 'bad name' is not a node's name"),
    ],
)
def test_replay_refuses_options_that_it_would_not_use(words: tuple[str, ...], message: str) -> None:
    done = command("replay", "no_such_bag", *words)

    assert done.exit_code == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_a_topic_named_twice_is_played_once(bag: Path, tiny: Path, tmp_path: Path) -> None:
    topic = "/camera/front/image_raw"
    words = ("--topic", topic, "--topic", topic, "--in-process", "--no-video")
    done = command("replay", bag, "-b", tiny, "-o", tmp_path, *words)

    assert done.exit_code == 0, done.stderr
    assert json.loads((tmp_path / "metrics.json").read_text())["topics"] == [topic]


def test_a_file_in_the_way_of_the_results_is_a_plain_error(bag: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")

    done = command("replay", bag, "-b", tiny, "-o", tmp_path / "out", "--in-process")

    assert done.exit_code == 2
    assert "cannot be made" in done.stderr


def test_a_bundle_is_shown_with_classes_and_scores(tiny: Path) -> None:
    done = command("bundle", "inspect", tiny)

    assert done.exit_code == 0
    for text in ("tiny 0.0.1", "64x48 rgb", "green", "thing", "miou", "Apache-2.0"):
        assert text in done.stdout


def test_a_good_bundle_is_verified_by_running_it(tiny: Path) -> None:
    done = command("bundle", "verify", tiny)

    assert done.exit_code == 0, done.stderr
    assert "fp32: graph keeps the contract" in done.stdout


@pytest.mark.parametrize("folder", ["lab [old]", "lab [", "lab :car: [/b]"])
def test_names_with_brackets_are_shown_as_they_are(folder: str, tmp_path: Path) -> None:
    place = tmp_path / folder.replace("/", "\\")
    bundle = write_tiny_bundle(place / "tiny")
    manifest = bundle / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("largest channel", "'see [/docs] [old]'"))
    drive = drives.write_folder(place / "drive", frames=1)

    shown = command("bundle", "inspect", bundle)
    verified = command("bundle", "verify", bundle)
    made = command("bag", drive, place / "bag")

    assert [done.exit_code for done in (shown, verified, made)] == [0, 0, 0], shown.stderr + made.stderr
    assert str(bundle) in shown.stdout.replace("\n", "")
    assert "see [/docs] [old]" in shown.stdout
    assert str(bundle) in verified.stdout.replace("\n", "")
    assert f"distill-perception replay '{place / 'bag'}' --bundle" in made.stdout


def test_a_changed_bundle_is_not_verified(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    with (bundle / "student.onnx").open("ab") as file:
        file.write(b"x")

    done = process("bundle", "verify", bundle)

    assert done.returncode == 2
    assert "SHA-256" in done.stderr


def test_engines_are_listed_with_the_one_that_auto_takes() -> None:
    done = command("engine", "list")

    assert done.exit_code == 0
    assert done.stdout.count("chosen by auto") == 1
    assert "onnxruntime" in done.stdout


def test_tensorrt_engines_are_built_ahead_listed_and_cleared(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="LOUD: engine build NOT TESTED: pip install tensorrt-rtx-cu13")
    cache = ("--cache", tmp_path / "cache")

    done = command("engine", "build", tiny, "--target", "sm86", "--target", "ampere+", *cache)
    assert done.exit_code == 0, done.stderr
    assert "fp32 for sm86" in done.stdout
    listed = command("engine", "list", *cache).stdout
    assert "sm86" in listed
    assert "ampere+" in listed

    refused = command("engine", "build", tiny, "--target", "sm12", *cache)
    assert refused.exit_code == 2
    assert "target 'sm12'" in refused.stderr

    assert "4 file(s) removed" in command("engine", "clear", *cache).stdout
    assert "sm86" not in command("engine", "list", *cache).stdout


def test_class_names_of_a_bag_can_come_from_a_bundle(tiny: Path, tmp_path: Path) -> None:
    from distill_perception.bags.reader import open_bag

    folder = drives.write_folder(tmp_path / "folder", frames=1, names=False)

    assert command("bag", folder, tmp_path / "bag", "-b", tiny).exit_code == 0
    assert open_bag(tmp_path / "bag").class_names == dict(enumerate(drives.CLASS_NAMES))


@pytest.mark.ros
def test_a_parameter_that_cannot_be_used_is_not_hidden_by_an_options_default(tiny: Path) -> None:
    pytest.importorskip("rclpy", reason="the real node needs rclpy")
    done = process("run", "-b", tiny, "-p", "max_age_ms:=abc", "-p", "score_treshold:=0.99")

    assert done.returncode == 1
    assert "'max_age_ms' must be of type float, not 'abc'" in done.stderr
    assert "did you mean 'score_threshold'?" in done.stderr


def test_verify_runs_the_bundle_where_it_is_told_to(tiny: Path) -> None:
    done = command("bundle", "verify", tiny, "--device", "abacus")
    assert done.exit_code == 2
    assert "no engine is available for device 'abacus'" in done.stderr


def test_verify_looks_for_a_gpu_unless_told_otherwise(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = []
    monkeypatch.setattr(
        bundle_view,
        "open_engine",
        lambda bundle, engine, settings: devices.append(settings.device) or open_engine(bundle),
    )
    bundle_view.verify_bundle(str(tiny))
    assert devices == ["auto"]  # TensorRT can serve no CPU


def test_without_ros_bags_bundles_and_in_process_replay_work(bag: Path, tiny: Path, no_ros: Path) -> None:
    folder = drives.write_folder(no_ros / "folder", frames=2)

    assert process("bag", folder, no_ros / "bag", blocked=no_ros).returncode == 0
    assert process("bundle", "verify", tiny, blocked=no_ros).returncode == 0
    done = process("replay", bag, "-b", tiny, "-o", no_ros / "out", "--in-process", blocked=no_ros)
    assert done.returncode == 0, done.stderr
    assert "mean IoU" in done.stdout


@pytest.mark.parametrize(
    "words", [("run",), ("watch", "--once"), ("replay", "BAG", "-b", "BUNDLE", "-o", "OUT")]
)
def test_without_ros_its_commands_say_how_to_get_it(
    words: tuple[str, ...], bag: Path, tiny: Path, no_ros: Path
) -> None:
    given = {"BAG": bag, "BUNDLE": tiny, "OUT": no_ros / "out"}

    done = process(*(given.get(word, word) for word in words), blocked=no_ros)

    assert done.returncode != 0
    assert "`make setup` in the checkout" in done.stderr
    assert ("--in-process" in done.stderr) == (words[0] == "replay")
    assert "Traceback" not in done.stderr


def test_a_tilde_that_the_shell_has_left_is_the_home_folder(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    drives.write_folder(home / "frames", frames=2)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    for words in (
        ("bag", "~/frames", "~/bag"),
        ("replay", "~/bag", "--bundle", str(tiny), "--out=~/results", "--in-process", "--no-video"),
        ("compare", "~/results", "--json=~/all.json"),
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output

    assert {path.name for path in home.iterdir()} == {"frames", "bag", "results", "all.json"}
    assert not list(here.iterdir())
