"""A command of the offline half that is refused."""

from __future__ import annotations

from tests.support.training_command import training_command


def refusal(*arguments: object) -> str:
    """What `distill-perception-train` says as it exits with 2."""
    done = training_command(*arguments)
    assert done.code == 2, done.err
    return " ".join(done.err.split())
