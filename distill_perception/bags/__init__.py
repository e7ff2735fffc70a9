"""Bags read and written without ROS, for the runtime and training alike."""
