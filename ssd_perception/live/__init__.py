"""Live ROS 2 graphs for the command line: play, view, children of demo and benchmark."""
