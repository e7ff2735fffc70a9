"""The lifecycle node `perception`: parameters, states and diagnostics; the work is done by its parts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import NameValidationException
from rclpy.lifecycle import LifecycleNode, LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn as Outcome
from rclpy.parameter import Parameter

from ..errors import ConfigError, PerceptionError
from ..topics import check_cameras
from . import parameters
from .diagnostics import ERROR, OK, Reminder
from .messages import status_message, status_name
from .parameters import Settings
from .runtime import Active, Configured, apply_settings

_DIAGNOSTICS_PERIOD_S = 1.0
_COMPLAIN_PERIOD_S = 5.0


class PerceptionNode(LifecycleNode):  # type: ignore[misc]  # rclpy.lifecycle is not typed
    """Camera images in, masks and detections out, as a managed node.

    Configuring loads the model and advertises the results; activating subscribes to the cameras; deactivating
    and cleaning up release what those made. Errors are logged as one line and the transition fails.

    Args:
        stopping: asked during long work, which ends with KeyboardInterrupt when the process is to end.
    """

    def __init__(self, stopping: Callable[[], bool] = lambda: False, **kwargs: Any) -> None:
        super().__init__("perception", **kwargs)
        self._stopping = stopping
        self._configured: Configured | None = None
        self._active: Active | None = None
        self._problem = ""
        self._progress = ""
        self._told_ns = 0
        self._reminders: dict[str, Reminder] = {}
        self._complain_again_s: dict[str, float] = {}
        self._bad_parameters = parameters.declare(self)
        self._settings = Settings(**{spec.name: spec.default for spec in parameters.PARAMETERS})  # type: ignore[arg-type]
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Diagnostics must go on while simulated time stands still.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, clock=self._steady)

    @property
    def autostart(self) -> bool:
        """Whether the node is to configure and activate itself."""
        return bool(self.get_parameter("autostart").value)

    def start(self) -> bool:
        """Configure and activate without a lifecycle manager; returns whether that worked."""
        if self.trigger_configure() != Outcome.SUCCESS:
            return False
        return self._stopping() or self.trigger_activate() == Outcome.SUCCESS

    def stop(self) -> None:
        """Shut down from whatever state the node is in."""
        self._release()

    # ---- lifecycle ----

    def on_configure(self, state: LifecycleState) -> Outcome:
        """Read the parameters, load bundle and engine, warm up, advertise."""
        try:
            self._configure()
        except PerceptionError as error:
            return self._fail("configure", str(error))
        except Exception as error:  # a defect or a broken installation; still no traceback for the user
            return self._fail("configure", f"unexpected {type(error).__name__}: {error}")
        return super().on_configure(state)

    def _configure(self) -> None:
        if self._bad_parameters:
            raise ConfigError("; ".join(self._bad_parameters.values()))
        settings = parameters.read(self)
        cameras = [self._absolute(camera) for camera in settings.cameras]
        check_cameras(cameras)
        self.get_logger().info(f"loading bundle '{settings.bundle}' ...")
        self._settings, self._problem = settings, ""
        try:
            self._configured = Configured(self, settings, cameras, self._on_progress)
        finally:
            self._progress = ""
        manifest = self._configured.bundle.manifest
        engine = self._configured.perceptor.engine.description
        self.get_logger().info(f"configured: bundle {manifest.name} {manifest.version} on {engine}")

    def _on_progress(self, what: str, done: int, total: int) -> None:
        """While it configures no timer fires, so that this tells log and diagnostics once a second."""
        if self._stopping():
            raise KeyboardInterrupt
        now_ns = self._steady.now().nanoseconds
        if now_ns - self._told_ns >= _DIAGNOSTICS_PERIOD_S * 1e9:
            self._told_ns = now_ns
            self._progress = f"{what}: {100 * done // max(total, 1)} %"
            self.get_logger().info(self._progress)
            self._publish_diagnostics()

    def _absolute(self, camera: str) -> str:
        if not camera:
            raise ConfigError("parameter 'cameras': one of its topics has an empty name")
        try:
            return str(self.resolve_topic_name(camera))
        except (NameValidationException, RuntimeError) as error:  # rclpy's RCLError is one
            text = " ".join(str(error).partition(", at /")[0].split())
            raise ConfigError(f"parameter 'cameras': '{camera}' is not a topic name: {text}") from error

    def on_activate(self, state: LifecycleState) -> Outcome:
        """Publish what the results mean, start the worker, subscribe to the cameras."""
        outcome = super().on_activate(state)
        if outcome != Outcome.SUCCESS or self._configured is None:
            return Outcome.FAILURE
        try:
            self._active = Active(self, self._configured, lambda: self._settings, self._complain)
        except Exception as error:
            super().on_deactivate(state)
            return self._fail("activate", f"{type(error).__name__}: {error}")
        self.get_logger().info(f"active: {', '.join(self._configured.results)}")
        return Outcome.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> Outcome:
        """Unsubscribe, finish the batch in work, log the counters."""
        self._stop_active()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> Outcome:
        """Free the model and take the topics back."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> Outcome:
        """Release everything, from any state."""
        self._release()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> Outcome:
        """Release everything; the node can be configured again."""
        self._release()
        return Outcome.SUCCESS

    def _fail(self, transition: str, problem: str) -> Outcome:
        self._problem = problem
        self.get_logger().error(f"cannot {transition}: {problem}")
        return Outcome.FAILURE

    def _stop_active(self) -> None:
        if self._active is not None:
            active, self._active = self._active, None
            self._reminders.clear()
            for line in active.close():
                self.get_logger().info(f"final counters of {line}")

    def _release(self) -> None:
        self._stop_active()
        if self._configured is not None:
            configured, self._configured = self._configured, None
            configured.close()

    # ---- parameters ----

    def _on_set_parameters(self, changes: Sequence[Parameter[Any]]) -> SetParametersResult:
        configured = self._configured is not None
        for change in changes:
            reason = parameters.refusal(change.name, change.value, configured)
            if reason:
                return SetParametersResult(successful=False, reason=reason)
        for change in changes:
            self._bad_parameters.pop(change.name, None)
        if self._configured is not None:
            values = {change.name: change.value for change in changes}
            self._settings = parameters.changed(self._settings, values)
            apply_settings(self._configured.perceptor, self._settings)
            if self._active is not None and "score_threshold" in values:
                self._active.publish_info()
        return SetParametersResult(successful=True)

    # ---- diagnostics ----

    def _publish_diagnostics(self) -> None:
        cameras = [] if self._active is None else self._active.status()
        state = self._state_machine.current_state[1]
        values: dict[str, Any] = {"state": state, "bundle": self._settings.bundle}
        if self._configured is not None:
            manifest = self._configured.bundle.manifest
            values |= {
                "bundle": manifest.name,
                "bundle_version": manifest.version,
                "engine": self._configured.perceptor.engine.name,
                "engine_description": self._configured.perceptor.engine.description,
                "precision": self._configured.perceptor.engine.precision,
                "model_sha256": manifest.precisions[self._configured.perceptor.engine.precision].sha256,
            }
        problem = "" if self._configured is not None else self._problem
        values["cameras"] = len(cameras)
        text = problem or (f"{state}, {self._progress}" if self._progress else state)
        status = status_message(ERROR if problem else OK, status_name(self, "node"), text, "", values)
        message = DiagnosticArray(status=[status, *cameras])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)
        now_s = self._steady.now().nanoseconds / 1e9
        for camera in cameras:
            trouble = camera.message if camera.level != OK else ""
            said = self._reminders.setdefault(camera.hardware_id, Reminder()).say(trouble, now_s)
            # Two lines: rclpy raises where a line of code logs with another severity than before.
            if said and trouble:
                self.get_logger().warning(f"{camera.hardware_id}: {said}")
            elif said:
                self.get_logger().info(f"{camera.hardware_id}: {said}")

    def _complain(self, text: str) -> None:
        """Log it, one complaint of each camera in five seconds: a camera's must not hide another's."""
        camera, now_s = text.partition(": ")[0], self._steady.now().nanoseconds / 1e9
        if now_s >= self._complain_again_s.get(camera, 0.0):
            self._complain_again_s[camera] = now_s + _COMPLAIN_PERIOD_S
            self.get_logger().warning(text)


class RosLogHandler(logging.Handler):
    """Python logging of the package's other rooms, as the node's log lines."""

    def __init__(self, node: LifecycleNode) -> None:
        super().__init__(logging.INFO)
        self._log = node.get_logger()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._log.error(text)
        elif record.levelno >= logging.WARNING:
            self._log.warning(text)
        else:
            self._log.info(text)
