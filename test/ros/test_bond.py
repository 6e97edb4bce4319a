"""The bond with nav2's lifecycle manager: formed, kept, broken, and noticed when it is."""

from __future__ import annotations

import os
import signal
import sys
import time
import types

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from lifecycle_msgs.msg import Transition  # noqa: E402
from peer import Peer  # noqa: E402

from ssd_perception.ros import bond  # noqa: E402

NODE = '/rover/ssd_detector'


class Node:
    """What a bond needs of a node; counts what it publishes."""

    def __init__(self):
        self.sent, self.timers, self.ok = [], [], True
        self.context = types.SimpleNamespace(ok=lambda: self.ok)

    def get_name(self):
        return 'ssd_detector'

    def get_clock(self):
        now = types.SimpleNamespace(to_msg=lambda: 'now')
        return types.SimpleNamespace(now=lambda: now)

    def create_publisher(self, kind, topic, qos):
        self.topic = topic
        return types.SimpleNamespace(publish=self.sent.append)

    def create_timer(self, period_s, callback, clock):
        self.timers.append(callback)
        return callback

    def destroy_timer(self, timer):
        self.timers.remove(timer)


def status(**fields):
    return types.SimpleNamespace(header=types.SimpleNamespace(stamp=None), **fields)


def test_heartbeats_are_sent_from_form_to_end_and_then_one_farewell():
    node = Node()
    ours = bond.Bond(node, types.SimpleNamespace(Status=status))
    assert node.topic == 'bond', "nav2's name, relative"
    ours.end()
    assert not node.sent, 'nothing was formed yet'
    ours.form()
    ours.form()
    beat, = node.timers
    beat()
    assert [message.active for message in node.sent] == [True, True]
    assert {message.id for message in node.sent} == {'ssd_detector'}
    ours.end()
    ours.end()
    assert [message.active for message in node.sent] == [True, True, False] and not node.timers
    first, = {message.instance_id for message in node.sent}
    ours.form()
    assert node.sent[-1].instance_id != first
    node.ok = False
    node.timers[0]()
    ours.end()
    assert len(node.sent) == 4, 'nothing is sent by a process that ends'


def test_without_the_messages_of_bond_there_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, 'bond', None)
    monkeypatch.setitem(sys.modules, 'bond.msg', None)
    assert bond.messages() is None


@pytest.mark.slow
def test_the_other_end_of_a_real_bond_notices_deactivation_and_death(peer, node_process, weights,
                                                                     monkeypatch):
    pytest.importorskip('bond.msg', reason='bond is not installed here')
    bondpy = pytest.importorskip('bondpy.bondpy', reason='bondpy is not installed here')
    # On Kilted it destroys a subscription behind the node's back, and the executor fails at that.
    monkeypatch.setattr(bondpy.Bond, 'shutdown', lambda self: None)
    process = node_process('-p', f'weights:={weights}', '-p', 'autostart:=false',
                           '-r', '__ns:=/rover')

    def form(manager):
        """Make the manager's end, with nav2's times."""
        other = bondpy.Bond(manager.node, '/rover/bond', 'ssd_detector')
        other.heartbeat_timeout, other.heartbeat_period = 4.0, 0.1
        other.start()
        assert manager.until(lambda: other.wait_until_formed(bondpy.Duration(seconds=0.01)), 20.0)
        return other

    assert peer.change_state(Transition.TRANSITION_CONFIGURE, NODE)
    assert peer.change_state(Transition.TRANSITION_ACTIVATE, NODE)
    first = form(peer)
    peer.spin(5.0)
    assert not first.is_broken(), 'it lasts longer than its timeout'
    assert peer.change_state(Transition.TRANSITION_DEACTIVATE, NODE)
    assert peer.until(first.is_broken, 3.0), 'before a heartbeat is missed'

    assert peer.change_state(Transition.TRANSITION_ACTIVATE, NODE)
    later = Peer()
    second = form(later)
    later.spin(1.0)  # bond watches from the second heartbeat on
    killed = time.monotonic()
    os.kill(process.process.pid, signal.SIGKILL)
    assert later.until(second.is_broken, 20.0)
    print(f'noticed {time.monotonic() - killed:.1f} s after kill -9')
    later.close()
