"""One camera's result topics."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecyclePublisher as Publisher
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo, VisionInfo

from ..bundle import Bundle
from ..perceptor import Frame, Perception
from ..topics import result_topic
from ..vision.color import convert
from ..vision.overlay import draw_overlay
from ..vision.palette import colorize, palette_of
from . import messages, qos

_ASK_PERIOD_S = 0.25  # for listeners to the pictures; asking takes 0.06 ms for each


class CameraResults:
    """Publishers of one camera's results; pictures, confidence and timing cost nothing while unheard."""

    def __init__(self, node: LifecycleNode, camera: str, bundle: Bundle) -> None:
        self.camera = camera
        self._node, self._bundle = node, bundle
        self._timing_name = messages.status_name(node, "timing")
        self._classes = bundle.manifest.classes
        self._palette = palette_of(self._classes)
        self._publishers: list[Publisher] = []
        image, tasks = Image, bundle.manifest.tasks
        self._mask = self._confidence = self._mask_color = self._detections = None
        if "segmentation" in tasks:
            self._mask = self._publisher(image, "mask")
            self._confidence = self._publisher(image, "confidence")
            self._mask_color = self._publisher(image, "mask_color")
        if "detection" in tasks:
            self._detections = self._publisher(Detection2DArray, "detections")
        self._overlay = self._publisher(image, "overlay")
        self._overlay_compressed = self._publisher(CompressedImage, "overlay/compressed")
        self._timing = self._publisher(DiagnosticArray, "timing")
        self._label_info = self._publisher(LabelInfo, "label_info", latched=True)
        self._vision_info = self._publisher(VisionInfo, "vision_info", latched=True)
        self._ask_s = 0.0
        self._watched = (False, False, False)

    def _publisher(self, kind: type, name: str, latched: bool = False) -> Publisher:
        profile = qos.LATCHED if latched else qos.RESULTS
        publisher = self._node.create_lifecycle_publisher(kind, result_topic(self.camera, name), profile)
        self._publishers.append(publisher)
        return publisher

    def destroy(self) -> None:
        """Take the topics back."""
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers.clear()

    def others(self) -> int:
        """How many publishers of these topics are not this node's."""
        return max(0, int(self._node.count_publishers(result_topic(self.camera, "timing"))) - 1)

    def publish_info(self, header: Header, engine: str, score_threshold: float) -> None:
        """Publish what the class ids mean, what is left out and which model speaks; latecomers get it too."""
        self._label_info.publish(messages.label_info_message(header, self._bundle, score_threshold))
        topic = result_topic(self.camera, "label_info")
        self._vision_info.publish(messages.vision_info_message(header, self._bundle, engine, topic))

    def wants_confidence(self) -> bool:
        """Whether anybody listens to the confidence."""
        return _heard(self._confidence)

    def publish(self, header: Header, frame: Frame, seen: Perception) -> None:
        """Publish a frame's results: mask and detections first, then the pictures somebody looks at."""
        if self._mask is not None and seen.mask is not None:
            self._mask.publish(messages.serialized_image(header, seen.mask, "mono8"))
        if self._detections is not None:
            self._detections.publish(messages.detections_message(header, seen.detections))
        if self._confidence is not None and seen.confidence is not None:
            self._confidence.publish(messages.serialized_image(header, seen.confidence, "mono8"))
        mask_color, overlay, compressed = self._watched_pictures()
        if self._mask_color is not None and seen.mask is not None and mask_color:
            self._mask_color.publish(
                messages.serialized_image(header, colorize(seen.mask, self._palette), "rgb8")
            )
        if overlay or compressed:
            picture = convert(frame.pixels, frame.encoding, "rgb")
            drawn = draw_overlay(picture, self._classes, seen.mask, seen.detections)
            if overlay:
                self._overlay.publish(messages.serialized_image(header, drawn, "rgb8"))
            if compressed:
                self._overlay_compressed.publish(messages.compressed_message(header, drawn))

    def _watched_pictures(self) -> tuple[bool, bool, bool]:
        """Whether somebody listens to mask_color, overlay, overlay/compressed, as of a quarter second ago."""
        now_s = time.monotonic()
        if now_s >= self._ask_s:
            self._ask_s = now_s + _ASK_PERIOD_S
            self._watched = (
                _heard(self._mask_color),
                _heard(self._overlay),
                _heard(self._overlay_compressed),
            )
        return self._watched

    def publish_timing(self, header: Header, stages_ms: dict[str, float]) -> None:
        """Publish how long the frame's stages took, when anybody listens."""
        if _heard(self._timing):
            self._timing.publish(messages.timing_message(header, self._timing_name, self.camera, stages_ms))


def _heard(publisher: Publisher | None) -> bool:
    return publisher is not None and publisher.get_subscription_count() > 0
