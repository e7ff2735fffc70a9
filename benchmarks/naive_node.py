"""The node that most projects begin with, to measure against: cv_bridge and eager torch in the callback.

The conversions are cv_bridge's, written out (a view of the data, colour conversion, a copy out); the package
itself is not on PyPI in a version that runs with NumPy 2. The network runs as PyTorch runs it unasked:
float32, NCHW layout. `--channels-last` is the one-line change that PyTorch's CPU performance guide advises.

    python -m benchmarks.naive_node [--channels-last] TOPIC [RUN_FOLDER]
"""

import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import rclpy
import torch
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from distill_perception.ros.transport import use_large_messages
from training.ablation import Ablation
from training.data.class_sets import class_set
from training.models.multi_task import MultiTaskNet
from training.models.outputs import upsample
from training.recipe import read_spec
from training.run_folder import build_model, load_model

ROOT = Path(__file__).resolve().parents[1]
SIZE = (360, 480)
FLAG = "--channels-last"


def student(run_folder: str | None = None) -> MultiTaskNet:
    """The trained student, or one of the same shape with random weights, which is as fast."""
    if run_folder:
        return load_model(Path(run_folder))[1]
    recipe = read_spec(ROOT / "training" / "recipes" / "camvid_students.yaml", Ablation).recipe
    spec = recipe.model.model_copy(update={"pretrained": False})
    return build_model(spec, class_set(recipe.data.class_set)).eval()


def to_cv2(message: Image) -> np.ndarray:
    """cv_bridge.imgmsg_to_cv2(message, 'rgb8') for bgr8 messages."""
    rows = np.ndarray((message.height, message.step), np.uint8, message.data)
    picture = rows[:, : message.width * 3].reshape(message.height, message.width, 3)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def to_message(picture: np.ndarray) -> Image:
    """cv_bridge.cv2_to_imgmsg(picture, 'mono8')."""
    message = Image(height=picture.shape[0], width=picture.shape[1], encoding="mono8", step=picture.shape[1])
    message.data.frombytes(picture.tobytes())
    return message


def main(*arguments: str) -> None:
    words = list(arguments)
    layout = torch.channels_last if FLAG in words else torch.contiguous_format
    topic, *run_folder = [word for word in words if word != FLAG]
    use_large_messages()
    model = student(*run_folder).to(memory_format=layout)
    rclpy.init()
    node = rclpy.create_node("naive_perception")
    publisher = node.create_publisher(Image, f"{topic.rpartition('/')[0]}/perception/mask", 5)

    def on_image(message: Image) -> None:
        picture = cv2.resize(to_cv2(message), (SIZE[1], SIZE[0]))
        with torch.no_grad():
            images = torch.from_numpy(picture).permute(2, 0, 1)[None].float().contiguous(memory_format=layout)
            mask = upsample(model(images).logits, *SIZE).argmax(1)[0].to(torch.uint8).numpy()
        mask = cv2.resize(mask, (message.width, message.height), interpolation=cv2.INTER_NEAREST)
        answer = to_message(mask)
        answer.header = message.header
        publisher.publish(answer)

    node.create_subscription(Image, topic, on_image, qos_profile_sensor_data)
    print("ready", flush=True)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main(*sys.argv[1:])
