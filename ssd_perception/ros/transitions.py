"""What a transition of the lifecycle does when it breaks: one sentence, then error processing."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ssd_perception.ros.loading import described

Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]


def says_why(transition: Transition) -> Transition:
    """Wrap ``on_...`` of a lifecycle node: an exception is logged and becomes ERROR.

    rclpy turns it into ERROR as well, but silently.
    """
    @functools.wraps(transition)
    def wrapped(node: LifecycleNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except Exception as error:
            verb = transition.__name__.removeprefix('on_').replace('_', ' ')
            node.get_logger().error(f'Cannot {verb}: {described(error)}')
            return TransitionCallbackReturn.ERROR
    return wrapped
