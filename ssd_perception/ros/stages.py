"""The node's stages: what happens to detections between the detector and their publication."""

from __future__ import annotations

from rclpy.node import Node

from ssd_perception.core.frame import Stage
from ssd_perception.ros.parameters import NodeParameters


def make_stages(node: Node, parameters: NodeParameters) -> list[Stage]:
    """Return the stages that the parameters ask for, in the order in which they run.

    Args:
        node: for subscriptions and publishers of a stage's own.
        parameters: those that the node was started with.
    """
    return []
