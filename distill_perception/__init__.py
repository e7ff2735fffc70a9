"""Real-time camera perception on ROS 2 with distilled networks."""

__version__ = "0.1.0"
