"""Waiting for a node, with a stand-in for the link to it."""

import time

import pytest

from distill_perception.errors import ReplayError
from distill_perception.replay.player import PlayOptions, wait_until_ready


class Link:
    """To a node that says how far it is every 0.2 s, and is ready after `ready_s`."""

    def __init__(self, ready_s: float) -> None:
        self.begin, self.ready_s, self.settled = time.monotonic(), ready_s, False

    @property
    def said(self) -> str:
        percent = min(time.monotonic() - self.begin, 1.0) // 0.2 * 20
        return f"building engine: {percent:.0f} %"

    def not_ready(self) -> str:
        return "" if time.monotonic() - self.begin > self.ready_s else "it is not active"

    def spin(self, seconds: float) -> None:
        time.sleep(seconds)

    def settle(self, seconds: float) -> None:
        self.settled = True


def test_a_node_that_still_says_how_far_it_is_is_waited_for() -> None:
    link = Link(ready_s=1.2)
    wait_until_ready(link, None, PlayOptions(start_timeout_s=0.5))
    assert link.settled


def test_a_node_that_says_nothing_new_is_given_up() -> None:
    with pytest.raises(ReplayError, match=r"not ready after 0.5 s \(--start-timeout\): it is not active"):
        wait_until_ready(Link(ready_s=60.0), None, PlayOptions(start_timeout_s=0.5))
