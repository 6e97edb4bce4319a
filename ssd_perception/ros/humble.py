"""What the rclpy of ROS 2 Humble lacks; delete this file when Humble is no longer supported."""

from __future__ import annotations

from collections.abc import Callable

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

try:
    from rclpy.event_handler import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )
except ImportError:  # Humble's name of the module
    from rclpy.qos_event import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )

__all__ = ['PublisherEventCallbacks', 'SubscriptionEventCallbacks', 'UnsupportedEventTypeError',
           'call_after_setting']


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

    def atomically(parameter_list: list[Parameter]) -> SetParametersResult:
        result = set_atomically(parameter_list)
        if result.successful:
            callback(parameter_list)
        return result

    def one_by_one(parameter_list: list[Parameter]) -> list[SetParametersResult]:
        return [atomically([parameter]) for parameter in parameter_list]

    # Humble's services of both kinds call the first, which sets all or nothing. The second, for
    # use within the process, does the same as `one_by_one` there, but does not call the first.
    vars(node).update(set_parameters_atomically=atomically, set_parameters=one_by_one)
