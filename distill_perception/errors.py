"""Every error a user may meet: each says what is wrong, where, and what to do about it."""


class PerceptionError(Exception):
    """Base of this package's errors; caught once, at the command line or at the node's edge."""


class BundleError(PerceptionError):
    """A model bundle is missing, damaged, or does not keep the contract."""


class EngineError(PerceptionError):
    """An inference engine is not available, cannot load the model, or was given wrong input."""


class ImageError(PerceptionError):
    """A picture is malformed or has an encoding that is not supported."""


class BagError(PerceptionError):
    """A bag, or what is to become one, cannot be read or written."""


class ReplayError(PerceptionError):
    """A recorded drive cannot be played or scored."""


class ConfigError(PerceptionError):
    """A setting, parameter or installed file is missing or not valid."""


def first_line(error: BaseException) -> str:
    """What an error of another library says, in one line; its name where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def ros_is_missing(error: ImportError, otherwise: str = "") -> ConfigError:
    """What to tell a user whose Python does not find ROS 2; `otherwise` is what does without it."""
    return ConfigError(
        f"ROS 2 is not importable ({error}): source your ROS 2 workspace (vision_msgs is "
        "ros-$ROS_DISTRO-vision-msgs of apt); where there is no ROS 2, `make setup` in the checkout puts it "
        f"into .venv{otherwise}"
    )
