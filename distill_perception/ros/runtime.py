"""What lives while the node is configured, and what lives while it is active."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header

from ..bundle import Bundle, load_bundle
from ..engines import EngineSettings, open_engine
from ..latest import LatestSlots
from ..perceptor import Perceptor
from ..progress import Progress
from .camera import CameraInput
from .diagnostics import CameraStats
from .parameters import Settings
from .qos import camera_qos
from .results import CameraResults
from .worker import Arrival, Camera, Worker


def open_perceptor(settings: Settings, cameras: int, progress: Progress) -> Perceptor:
    """Load bundle and engine as the settings say, warm for every batch size that the cameras can make.

    Args:
        settings: the node's parameters.
        cameras: how many there are.
        progress: told what takes long: name, done, of how much.

    Raises:
        PerceptionError: the bundle or the engine cannot be used; says why.
    """
    bundle = load_bundle(settings.bundle)
    engine_settings = EngineSettings(
        settings.precision, settings.device, settings.threads, cameras, settings.warm_up, progress
    )
    engine = open_engine(bundle, settings.engine, engine_settings)
    perceptor = Perceptor(bundle, engine)
    try:
        apply_settings(perceptor, settings)
    except BaseException:
        perceptor.close()
        raise
    return perceptor


def apply_settings(perceptor: Perceptor, settings: Settings) -> None:
    """Hand over the settings that may change while running."""
    perceptor.score_threshold = settings.score_threshold
    perceptor.mask_resolution = "model" if settings.mask_resolution == "model" else "camera"


class Configured:
    """Model loaded, topics advertised; nothing is received yet."""

    def __init__(
        self, node: LifecycleNode, settings: Settings, cameras: Sequence[str], progress: Progress
    ) -> None:
        self.perceptor = open_perceptor(settings, len(cameras), progress)
        self.bundle: Bundle = self.perceptor.bundle
        self.results: dict[str, CameraResults] = {}
        try:
            for camera in cameras:
                self.results[camera] = CameraResults(node, camera, self.bundle)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free the model and take the topics back."""
        for results in self.results.values():
            results.destroy()
        self.perceptor.close()


class Active:
    """Frames are received, processed and published.

    Args:
        node: the node that subscribes.
        configured: the model and the result topics.
        settings: asked whenever a setting that may change is used.
        complain: logs what went wrong with a frame.
    """

    def __init__(
        self,
        node: LifecycleNode,
        configured: Configured,
        settings: Callable[[], Settings],
        complain: Callable[[str], None],
    ) -> None:
        self._node, self._configured, self._settings = node, configured, settings
        slots: LatestSlots[Arrival] = LatestSlots()
        clock = node.get_clock()
        stats = {camera: CameraStats(time.perf_counter()) for camera in configured.results}
        self.publish_info()
        self._worker = Worker(
            slots,
            {camera: Camera(results, stats[camera]) for camera, results in configured.results.items()},
            configured.perceptor,
            lambda: settings().max_age_ms,
            lambda: clock.now().nanoseconds,
            complain,
        )
        profile = camera_qos(settings().qos_reliability, settings().qos_depth)
        self._inputs: list[CameraInput] = []
        try:
            for camera in configured.results:
                self._inputs.append(
                    CameraInput(node, camera, profile, slots.add(camera), stats[camera], complain)
                )
        except Exception:
            self.close()
            raise

    def publish_info(self) -> None:
        """Publish what the results mean; once more whenever a setting has changed that it tells."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        engine = self._configured.perceptor.engine.description
        for results in self._configured.results.values():
            results.publish_info(header, engine, self._settings().score_threshold)

    def status(self) -> list[DiagnosticStatus]:
        """The cameras' diagnostics."""
        return [
            camera.status(self._settings().max_age_ms, self._configured.results[camera.topic].others())
            for camera in self._inputs
        ]

    def close(self) -> list[str]:
        """Stop receiving, finish the batch in work; returns each camera's final counters as text."""
        for camera in self._inputs:
            camera.destroy()
        self._worker.stop()
        return [camera.summary() for camera in self._inputs]
