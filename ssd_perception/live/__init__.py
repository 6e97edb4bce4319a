"""Use-cases on a live ROS 2 graph: play, view and demo, with their child processes."""
