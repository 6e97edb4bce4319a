"""What a transition of the lifecycle does when it breaks: one sentence, then error processing."""

from __future__ import annotations

import functools

from rclpy.lifecycle import TransitionCallbackReturn

from ssd_perception.ros.loading import described


def says_why(transition):
    """Wrap ``on_...`` of a lifecycle node: an exception is logged and becomes ERROR.

    rclpy turns it into ERROR as well, but silently.
    """
    @functools.wraps(transition)
    def wrapped(node, state):
        try:
            return transition(node, state)
        except Exception as error:
            verb = transition.__name__.removeprefix('on_').replace('_', ' ')
            node.get_logger().error(f'Cannot {verb}: {described(error)}')
            return TransitionCallbackReturn.ERROR
    return wrapped
