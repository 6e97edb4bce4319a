"""A bond with nav2's lifecycle manager: heartbeats while the node is active.

bondpy is not used: on Kilted its ``shutdown`` makes the executor fail, and its heartbeats come
from a thread of their own, which lives on when the node hangs.
"""

from __future__ import annotations

import importlib
import uuid
from types import ModuleType

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer

# nav2's names and times: nav2_util/lifecycle_node.cpp. The topic is relative there, too.
TOPIC = 'bond'
PERIOD_S = 0.1
TIMEOUT_S = 4.0


def messages() -> ModuleType | None:
    """Return the module of bond's messages, which nav2 brings along; None without it."""
    try:
        return importlib.import_module('bond.msg')
    except ImportError:
        return None


class Bond:
    """The detector's end of the bond.

    The heartbeats come from the node's own thread, so they also end when that thread hangs. What
    the manager sends is not needed here; nav2's own nodes go on without it.

    Args:
        node: the one that is managed; the manager knows the bond by its name.
        messages: as ``messages`` returns it.
    """

    def __init__(self, node: Node, messages: ModuleType):
        self._node, self._status = node, messages.Status
        self._publisher = node.create_publisher(messages.Status, TOPIC, 5)
        self._instance = ''
        self._timer: Timer | None = None

    def form(self) -> None:
        """Begin to send heartbeats; the manager waits for the first one."""
        if self._timer is None:
            # A new one each time, so that the manager takes it for another process.
            self._instance = str(uuid.uuid4())
            # A steady clock: simulated time may stand still.
            self._timer = self._node.create_timer(
                PERIOD_S, self._beat, clock=Clock(clock_type=ClockType.STEADY_TIME))
            self._beat()

    def end(self) -> None:
        """Say that this end is gone on purpose, and send no more."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
            self._send(False)

    def _beat(self) -> None:
        self._send(True)

    def _send(self, active: bool) -> None:
        if not self._node.context.ok():  # the process ends
            return
        status = self._status(id=self._node.get_name(), instance_id=self._instance, active=active,
                              heartbeat_timeout=TIMEOUT_S, heartbeat_period=PERIOD_S)
        status.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(status)
