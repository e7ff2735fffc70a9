"""The ROS 2 rim: the lifecycle node and everything that touches rclpy or a ROS message."""
