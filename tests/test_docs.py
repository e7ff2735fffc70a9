"""The documents: numbers are the recorded ones, links lead somewhere, and the commands they name exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_generated_blocks_are_up_to_date() -> None:
    words = [sys.executable, str(ROOT / "scripts" / "doc_numbers.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        file, _, heading = link.partition("#")
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), link
        assert not heading or heading in _anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_are_shown_exist(document: Path) -> None:
    from distill_perception.cli import app as runtime
    from training.cli import app as offline

    known = {"distill-perception": _commands(runtime), "distill-perception-train": _commands(offline)}
    text = document.read_text(encoding="utf-8")
    for program, command in re.findall(r"(?<![-/\w])(distill-perception(?:-train)?) ([a-z]+)\b", text):
        assert command in known[program], f"{program} {command}"


def test_every_key_of_a_recipe_is_explained() -> None:
    rows = re.findall(r"^\| `.*$", (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [row for row in rows if row.rstrip(" |").count(" | ") < 3] == []


def _anchors(document: Path) -> set[str]:
    """Headings as GitHub makes links of them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def _commands(app: typer.Typer) -> set[str]:
    return set(get_command(app).commands)
