"""SSD object detection for ROS 2: camera images in, vision_msgs/Detection2DArray out."""

__version__ = '0.1.0'
