"""Tables as GitHub Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table without a last line feed; the first `left` columns go to the left, numbers to the right."""
    marks = ["---"] * left + ["---:"] * (len(header) - left)
    first, *others = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (first, marks, *others))
