"""package.xml names what the code imports, so that rosdep brings it."""

import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

REPO = Path(__file__).parents[2]
# Import name -> rosdep key, where they differ.
KEYS = {
    "cv2": "python3-opencv",
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime-pip",
    "pydantic": "python3-pydantic",
    "rich": "python3-rich",
    "rosbags": "python3-rosbags-pip",
    "typer": "python3-typer",
    "yaml": "python3-yaml",
}
# Asked for only where used, with a remedy.
OPTIONAL = {"cuda", "matplotlib", "onnx", "openvino", "tensorrt", "tensorrt_rtx"}


def imported():
    names = set()
    for path in [*(REPO / "distill_perception").rglob("*.py"), *(REPO / "launch").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
    return names


def standard_library():
    import sys

    return set(sys.stdlib_module_names) | {"__future__"}


def test_every_import_of_the_runtime_is_a_dependency():
    root = ElementTree.parse(REPO / "package.xml").getroot()
    declared = {element.text for element in root.iter() if element.tag.endswith("depend")}
    needed = imported() - standard_library() - OPTIONAL - {"distill_perception"}
    assert {KEYS.get(name, name) for name in needed} <= declared


def test_versions_agree_everywhere():
    version = ElementTree.parse(REPO / "package.xml").getroot().findtext("version")
    assert f'version="{version}"' in (REPO / "setup.py").read_text()
    init = (REPO / "distill_perception" / "__init__.py").read_text()
    assert re.search(r'__version__ = "(.+)"', init)[1] == version
    assert f"## {version}" in (REPO / "CHANGELOG.md").read_text()


def test_the_licence_is_apache_2_in_full():
    licence = (REPO / "LICENSE").read_text()
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
