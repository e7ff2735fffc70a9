"""Play a recorded drive through the node and write metrics, report and overlay video.

ros2 launch distill_perception replay.launch.py bag:=drive.mcap out:=results
"""

import launch
import launch.actions
import launch.substitutions

from distill_perception.child import module_command
from distill_perception.ros.transport import use_large_messages

ARGUMENTS = {
    "bag": (None, "rosbag2 folder or file with the drive"),
    "bundle": ("camvid_lite0", "model bundle, by name or path"),
    "out": ("replay_out", "folder for metrics.json, report.html and overlay.mp4"),
    "rate": ("1.0", "pace, as a factor of the bag's own"),
    "engine": ("auto", "auto, tensorrt, onnxruntime or openvino"),
}


def generate_launch_description() -> launch.LaunchDescription:
    """Return the launch description that `ros2 launch` runs; it ends when the replay does."""
    use_large_messages()
    declared = [
        launch.actions.DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    value = {name: launch.substitutions.LaunchConfiguration(name) for name in ARGUMENTS}
    command = [*module_command("distill_perception.cli"), "replay", value["bag"]]
    for name in ("bundle", "out", "rate", "engine"):
        command += [f"--{name}", value[name]]
    replay = launch.actions.ExecuteProcess(
        cmd=command,
        output="screen",
        on_exit=_end,
        # After Ctrl-C it still scores and reports what was played.
        sigterm_timeout="300",
        sigkill_timeout="10",
    )
    return launch.LaunchDescription([*declared, replay])


def _end(event: launch.Event, _context: launch.LaunchContext) -> launch.actions.Shutdown:
    """End the launch with the replay; `ros2 launch` exits with an error only if something is raised."""
    if event.returncode:
        raise RuntimeError(f"the replay has failed (exit code {event.returncode}): its message is above")
    return launch.actions.Shutdown(reason="the replay has ended")
