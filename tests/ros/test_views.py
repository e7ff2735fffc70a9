"""The views that are shipped for RViz and Foxglove show what a node has to show."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from diagnostic_msgs.msg import DiagnosticArray

from distill_perception.share import share_path
from tests.support.environ import ROOT
from tests.support.ros_process import Client, running_node, wait_until


def texts(item: Any) -> list[str]:
    """Every string in nested lists and mappings."""
    if isinstance(item, dict):
        return [text for value in item.values() for text in texts(value)]
    if isinstance(item, list):
        return [text for value in item for text in texts(value)]
    return [item] if isinstance(item, str) else []


def test_every_topic_and_status_in_the_views_exists_for_the_camera_of_the_readme(
    domain: int, client: Client, tiny_bundle: Path, tmp_path: Path
) -> None:
    (camera,) = re.findall(
        r"perception\.launch\.py cameras:=\"\['(.*)'\]\"", (ROOT / "README.md").read_text()
    )
    rviz = texts(yaml.safe_load(share_path("config", "perception.rviz").read_text()))
    foxglove = texts(json.loads(share_path("config", "foxglove_layout.json").read_text()))
    named = {text for text in rviz + foxglove if text.startswith("/")}
    assert len(named) == 5, named
    with running_node(domain, tmp_path / "log", bundle=str(tiny_bundle), cameras=[camera]):
        health = client.collect(DiagnosticArray, "/diagnostics")
        wait_until(lambda: health, 10.0, "diagnostics")
        topics = {name for name, _ in client.node.get_topic_names_and_types()}
        assert named <= topics
        (panel,) = (text for text in foxglove if text.startswith("perception:"))
        assert panel in {status.name for status in health[0].status}
