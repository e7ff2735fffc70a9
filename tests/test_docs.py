"""The documents: numbers are the recorded ones, links lead somewhere, and the commands they name exist."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from distill_perception.vision.color import CHANNELS

ROOT = Path(__file__).resolve().parents[1]
GENERATED = r"<!-- gen.*?<!-- end"  # of records, which keep the spelling of their day
MADE_BY_THE_READER = ("models/your_own", "models/camvid_front")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / name for name in ("CHANGELOG.md", "distill_perception", "scripts", "training")]


def test_generated_blocks_are_up_to_date() -> None:
    words = [sys.executable, str(ROOT / "scripts" / "doc_numbers.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_figure_of_other_numbers_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import doc_numbers

    assert not doc_numbers.speed_is_stale()
    drawn = doc_numbers.speed()
    monkeypatch.setattr(doc_numbers, "speed", lambda: replace(drawn, points=drawn.points[1:]))
    assert doc_numbers.speed_is_stale()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        file, _, heading = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), link
        assert not heading or heading in _anchors(target), link


@pytest.mark.parametrize("place", [*DOCUMENTS, *OTHERS], ids=lambda path: path.name)
def test_commands_and_their_options_that_are_shown_exist(place: Path) -> None:
    from distill_perception.cli import app as runtime
    from training.cli import app as offline

    programs = {"distill-perception": get_command(runtime), "distill-perception-train": get_command(offline)}
    files = [file for file in place.rglob("*") if file.suffix in (".py", ".sh", ".yaml")] or [place]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files).replace("\\\n", " ")
    other = r"python3? -m (?:distill_perception|training)[. ][a-z. -]+"
    assert re.findall(other, re.sub(GENERATED, "", text, flags=re.DOTALL)) == [], "name the program instead"
    for program, words in re.findall(r"(?<![-/\w])(distill-perception(?:-train)?) ([^`\n]*)", text):
        command, rest = programs[program], words.split()
        while rest and (inner := getattr(command, "commands", {})) and re.fullmatch("[a-z]+", rest[0]):
            assert rest[0] in inner, f"{program} {words}"
            name = rest.pop(0)
            handed_on = inner[name].context_settings.get("ignore_unknown_options", False)
            command = programs["distill-perception-train"].commands[name] if handed_on else inner[name]
        options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
        for word in rest:
            flag = re.match(r"--[a-z0-9-]+", word)
            assert not flag or flag[0] in options, f"{program} {words}: {word}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_of_this_project_that_are_named_exist(document: Path) -> None:
    text = re.sub(GENERATED, "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    rooms = "training|benchmarks|tests|config|scripts|models"
    named = re.findall(rf"(?<![-\w/])((?:{rooms})/[\w./*-]*\w)", text)
    missing = [
        name for name in named if not name.startswith(MADE_BY_THE_READER) and not list(ROOT.glob(name))
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_sentence_stands_twice(document: Path) -> None:
    prose = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    lines = [line for line in prose.splitlines() if len(line) > 60 and not line.startswith(("|", "- "))]
    assert sorted(lines) == sorted(set(lines))


def test_every_encoding_that_is_taken_is_listed() -> None:
    section = (
        (ROOT / "docs" / "robot.md").read_text(encoding="utf-8").split("## Cameras")[1].split("\n## ")[0]
    )
    listed = set(re.findall(r"\w+", section))
    assert not CHANNELS.keys() - listed


def test_every_key_of_a_recipe_is_explained() -> None:
    rows = re.findall(r"^\| `.*$", (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row.rstrip(" |").count(" | ") < 3] == []


def test_the_class_set_of_the_documents_is_one(tmp_path: Path) -> None:
    from training.data.class_set import read_class_set

    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(classes:.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "own.yaml").write_text(block)
    found = read_class_set(tmp_path / "own.yaml")
    assert (found.names, found.void_id) == (("road", "car", "person"), 255)
    assert [item.name for item in found.things] == ["car", "person"]


def test_no_help_text_loses_its_asterisks() -> None:
    """Markdown takes those of images/*.jpg, labels/*.png for emphasis."""
    from distill_perception.cli import app as runtime
    from training.cli import app as offline

    for app in (runtime, offline):
        for words, command in _commands(get_command(app)):
            if command.help is None or command.context_settings.get("ignore_unknown_options", False):
                continue  # the second is handed to another program
            shown = "".join(CliRunner().invoke(app, [*words, "--help"]).output.split())
            lost = [word for word in command.help.split() if "*" in word and word not in shown]
            assert lost == [], words


def _commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands and groups, with the words that call them."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*words, name))


def _anchors(document: Path) -> set[str]:
    """Headings as GitHub makes links of them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}
