"""The ROS 2 side: messages, parameters and nodes around a Detector; torch is never imported."""
