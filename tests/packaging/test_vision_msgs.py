"""The vision_msgs that nodes here speak must be upstream's: same fields, same order, same type hash.

The table of fields was written down from the branch `ros2` of ros-perception/vision_msgs (4.1.1), and hashes
are computed from it alone, by the rules of REP 2016. UPSTREAM holds the hashes that a Jazzy build of its
sources recorded. ROS 2 nodes whose hashes differ do not talk to each other.
"""

import hashlib
import importlib
import json
from pathlib import Path

import pytest

INTERFACES = Path(__file__).parents[2] / "interfaces" / "vision_msgs" / "msg"

FIELDS = {
    "builtin_interfaces/msg/Time": "int32 sec, uint32 nanosec",
    "std_msgs/msg/Header": "builtin_interfaces/Time stamp, string frame_id",
    "geometry_msgs/msg/Point": "float64 x, float64 y, float64 z",
    "geometry_msgs/msg/Vector3": "float64 x, float64 y, float64 z",
    "geometry_msgs/msg/Quaternion": "float64 x, float64 y, float64 z, float64 w",
    "geometry_msgs/msg/Pose": "geometry_msgs/Point position, geometry_msgs/Quaternion orientation",
    "geometry_msgs/msg/PoseWithCovariance": "geometry_msgs/Pose pose, float64[36] covariance",
    "vision_msgs/msg/Point2D": "float64 x, float64 y",
    "vision_msgs/msg/Pose2D": "vision_msgs/Point2D position, float64 theta",
    "vision_msgs/msg/BoundingBox2D": "vision_msgs/Pose2D center, float64 size_x, float64 size_y",
    "vision_msgs/msg/BoundingBox2DArray": "std_msgs/Header header, vision_msgs/BoundingBox2D[] boxes",
    "vision_msgs/msg/BoundingBox3D": "geometry_msgs/Pose center, geometry_msgs/Vector3 size",
    "vision_msgs/msg/BoundingBox3DArray": "std_msgs/Header header, vision_msgs/BoundingBox3D[] boxes",
    "vision_msgs/msg/ObjectHypothesis": "string class_id, float64 score",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis, geometry_msgs/PoseWithCovariance pose"
    ),
    "vision_msgs/msg/Classification": "std_msgs/Header header, vision_msgs/ObjectHypothesis[] results",
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header, vision_msgs/ObjectHypothesisWithPose[] results, "
        "vision_msgs/BoundingBox2D bbox, string id"
    ),
    "vision_msgs/msg/Detection2DArray": "std_msgs/Header header, vision_msgs/Detection2D[] detections",
    "vision_msgs/msg/Detection3D": (
        "std_msgs/Header header, vision_msgs/ObjectHypothesisWithPose[] results, "
        "vision_msgs/BoundingBox3D bbox, string id"
    ),
    "vision_msgs/msg/Detection3DArray": "std_msgs/Header header, vision_msgs/Detection3D[] detections",
    "vision_msgs/msg/VisionClass": "uint16 class_id, string class_name",
    "vision_msgs/msg/LabelInfo": (
        "std_msgs/Header header, vision_msgs/VisionClass[] class_map, float32 threshold"
    ),
    "vision_msgs/msg/VisionInfo": (
        "std_msgs/Header header, string method, string database_location, int32 database_version"
    ),
}
VISION_MSGS = [name for name in FIELDS if name.startswith("vision_msgs/")]

UPSTREAM = {
    "std_msgs/msg/Header": "f49fb3ae2cf070f793645ff749683ac6b06203e41c891e17701b1cb597ce6a01",
    "geometry_msgs/msg/PoseWithCovariance": (
        "9a7c0fd234b7f45c6098745ecccd773ca1085670e64107135397aee31c02e1bb"
    ),
    "vision_msgs/msg/BoundingBox2D": "008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "vision_msgs/msg/BoundingBox2DArray": "2464e82838009386d371b523211c21c91d74d313fcdd6788223c531d621cf691",
    "vision_msgs/msg/BoundingBox3D": "bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    "vision_msgs/msg/BoundingBox3DArray": "a81938db9576b10c2eecd7c5a5da3eac496efd00221b25ed051dfbc81fb56da6",
    "vision_msgs/msg/Classification": "f74db28d0eaef3afb78f48bf2161cd709a1383a0309d3454383b25be11345143",
    "vision_msgs/msg/Detection2D": "0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "vision_msgs/msg/Detection2DArray": "214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "vision_msgs/msg/Detection3D": "ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    "vision_msgs/msg/LabelInfo": "3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    "vision_msgs/msg/ObjectHypothesis": "51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc"
    ),
    "vision_msgs/msg/Point2D": "eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    "vision_msgs/msg/Pose2D": "b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    "vision_msgs/msg/VisionClass": "1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
    "vision_msgs/msg/VisionInfo": "95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284",
}

# type_description_interfaces/msg/FieldType
PRIMITIVES = {"uint16": 5, "int32": 6, "uint32": 7, "float32": 10, "float64": 11, "string": 17}
NESTED, ARRAY, UNBOUNDED_SEQUENCE = 1, 48, 144


def field(declaration):
    """'vision_msgs/Detection2D[] detections' -> (name, type id, capacity, full name of a nested type)."""
    kind, name = declaration.split()
    base, _, length = kind.partition("[")
    nested = "" if base in PRIMITIVES else base.replace("/", "/msg/")
    type_id = PRIMITIVES.get(base, NESTED)
    length = length.rstrip("]")
    if kind.endswith("]"):
        type_id += ARRAY if length else UNBOUNDED_SEQUENCE
    return name, type_id, int(length or 0), nested


def described(name):
    fields = [field(declaration) for declaration in FIELDS[name].split(", ")]
    return {
        "type_name": name,
        "fields": [
            {
                "name": field_name,
                "type": {
                    "type_id": type_id,
                    "capacity": capacity,
                    "string_capacity": 0,
                    "nested_type_name": nested,
                },
            }
            for field_name, type_id, capacity, nested in fields
        ],
    }


def referenced(name):
    """All types that `name` is made of, at any depth."""
    found = set()
    for declaration in FIELDS[name].split(", "):
        nested = field(declaration)[3]
        if nested:
            found |= {nested} | referenced(nested)
    return found


def rihs01(name):
    description = {
        "type_description": described(name),
        "referenced_type_descriptions": [described(other) for other in sorted(referenced(name))],
    }
    return "RIHS01_" + hashlib.sha256(json.dumps(description).encode()).hexdigest()


def share_folder():
    """Where the installed vision_msgs has its type descriptions: the ament prefix of the package."""
    package = pytest.importorskip("vision_msgs", reason="LOUD: no ROS 2 here, vision_msgs is not checked")
    for parent in Path(package.__file__).parents:
        if (parent / "share" / "vision_msgs" / "msg").is_dir():
            return parent / "share" / "vision_msgs" / "msg"
    raise AssertionError("vision_msgs is importable but its share folder is not found")


@pytest.mark.parametrize("name", UPSTREAM)
def test_the_table_of_fields_gives_the_hash_that_upstream_recorded(name):
    assert rihs01(name) == f"RIHS01_{UPSTREAM[name]}"


@pytest.mark.parametrize("name", VISION_MSGS)
def test_the_installed_message_has_upstreams_type_hash(name):
    path = share_folder() / f"{name.rpartition('/')[2]}.json"
    if not path.is_file():
        pytest.skip(f"LOUD: {path} is absent; ROS 2 before Jazzy has no type hashes")
    hashes = {
        entry["type_name"]: entry["hash_string"] for entry in json.loads(path.read_text())["type_hashes"]
    }
    assert hashes[name] == rihs01(name)


@pytest.mark.parametrize("name", VISION_MSGS)
def test_the_installed_message_has_upstreams_fields_in_order(name):
    share_folder()
    message = getattr(importlib.import_module("vision_msgs.msg"), name.rpartition("/")[2])
    expected = {}
    for declaration in FIELDS[name].split(", "):
        kind, field_name = declaration.split()
        kind = {"float64": "double", "float32": "float"}.get(kind, kind)
        expected[field_name] = f"sequence<{kind[:-2]}>" if kind.endswith("[]") else kind
    assert list(message.get_fields_and_field_types().items()) == list(expected.items())


@pytest.mark.parametrize("name", VISION_MSGS)
def test_the_definition_in_interfaces_says_the_same(name):
    package, _, message = name.partition("/msg/")
    lines = (INTERFACES / f"{message}.msg").read_text().splitlines()
    declared = [line for line in lines if line and not line.startswith("#")]
    qualified = [
        line if "/" in line.split()[0] or line[0].islower() else f"{package}/{line}" for line in declared
    ]
    assert ", ".join(qualified) == FIELDS[name]


def test_interfaces_holds_upstreams_messages_and_no_others():
    assert {f"vision_msgs/msg/{path.stem}" for path in INTERFACES.glob("*.msg")} == set(VISION_MSGS)
