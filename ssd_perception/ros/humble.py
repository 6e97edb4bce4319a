"""What the rclpy of ROS 2 Humble lacks; delete this file when Humble is no longer supported."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from rclpy.parameter import Parameter


def call_after_setting(node: Node, callback: Callable[[list[Parameter]], None]) -> None:
    """Have ``callback`` called with parameters that were set, never with refused ones.

    rclpy has ``add_post_set_parameters_callback`` for this since Iron. Humble's on-set callback
    is no substitute: it is asked before the parameters are set, and another one after it may
    still refuse them.
    """
    if hasattr(node, 'add_post_set_parameters_callback'):
        node.add_post_set_parameters_callback(callback)
        return
    set_atomically = node.set_parameters_atomically

    def atomically(parameters: list[Parameter]):
        result = set_atomically(parameters)
        if result.successful:
            callback(parameters)
        return result

    def one_by_one(parameters: list[Parameter]):
        return [atomically([parameter]) for parameter in parameters]

    # Humble's services of both kinds call the first, which sets all or nothing. The second, for
    # use within the process, does there what `one_by_one` does, but past the first.
    node.set_parameters_atomically = atomically  # type: ignore[method-assign]
    node.set_parameters = one_by_one  # type: ignore[method-assign]
