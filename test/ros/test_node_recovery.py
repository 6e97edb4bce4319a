"""A device that breaks in mid-stream: tried again, loaded anew, replaced where that is allowed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from peer import image, picture  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from ssd_perception.ros.loading import LONGEST_PAUSE_S, PATIENCE, Recovery  # noqa: E402
from ssd_perception.ros.parameters import NodeParameters  # noqa: E402

OK, WARN, ERROR = b'\x00', b'\x01', b'\x02'


def test_it_waits_for_failures_in_a_row_and_between_attempts():
    recovery, parameters = Recovery(), NodeParameters()
    assert not recovery.due(0, False, 0.0) and not recovery.due(PATIENCE - 1, True, 0.0)
    now, pauses = 0.0, []
    for _ in range(12):
        assert recovery.due(PATIENCE, True, now)
        assert recovery.attempt(parameters, now) == parameters
        start = now
        while not recovery.due(PATIENCE, True, now):
            now += 0.25
        pauses.append(now - start)
    assert pauses[:4] == [1.0, 2.0, 4.0, 8.0] and pauses[-1] == LONGEST_PAUSE_S


def test_a_loaded_detector_gets_its_chance_before_the_next_attempt():
    recovery = Recovery()
    recovery.attempt(NodeParameters(), 0.0)
    assert not recovery.due(0, True, 100.0), 'nothing has failed with it yet'
    assert recovery.attempts == 1
    recovery.due(0, False, 101.0)  # a batch was answered
    assert recovery.attempts == 0


@pytest.mark.parametrize('allowed', [False, True])
def test_the_cpu_only_where_allowed_and_only_after_the_device_had_its_chance(allowed):
    wanted = NodeParameters(cpu_fallback=allowed, device='cuda', precision='fp16')
    recovery = Recovery()
    assert recovery.attempt(wanted, 0.0) == wanted
    second = recovery.attempt(wanted, 1.0)
    assert recovery.on_cpu is allowed
    assert (second.device, second.precision) == (('cpu', 'auto') if allowed else ('cuda', 'fp16'))
    assert recovery.place(wanted) == second, 'new weights go there too'


@pytest.fixture
def fault(tmp_path):
    path = tmp_path / 'fault'
    path.write_text('works')
    return path


@pytest.fixture
def faulty(node_process, weights, fault):
    def start(*arguments):
        return node_process('-p', f'weights:={weights}', *arguments, program=(
            str(Path(__file__).with_name('faulty_node.py')), str(fault)))
    return start


class Stream:
    """A camera that never rests, and what the node says about itself meanwhile."""

    def __init__(self, peer):
        self.peer, self.number = peer, 0
        self.detections = peer.listen_to_detections()
        self.statuses = peer.listen(DiagnosticArray, '/diagnostics')
        self.publisher = peer.publisher(Image, '/image')

    def until(self, condition, timeout_s=60.0):
        def step():
            self.publisher.publish(image(picture(), self.number))
            self.number += 1
            self.peer.spin(0.03)
            return condition()
        assert self.peer.until(step, timeout_s)

    def detector(self):
        """Return the newest entry of the detector as (level, message, values)."""
        status = self.statuses[-1].status[0]
        return status.level, status.message, {v.key: v.value for v in status.values}

    def until_status(self, level, text=''):
        self.statuses.clear()
        self.until(lambda: self.statuses and self.detector()[0] == level
                   and text in self.detector()[1])

    def until_answered(self):
        first = self.number
        self.detections.clear()
        self.until(lambda: any(m.header.stamp.sec >= 1000 + first for m in self.detections))


def test_a_device_that_comes_back_is_used_again(faulty, fault, peer):
    node = faulty()
    node.wait_for('Active on /image')
    stream = Stream(peer)
    stream.until_answered()
    fault.write_text('fails')
    stream.until_status(ERROR, 'RuntimeError: CUDA error: device lost CUDA kernel errors')
    node.wait_for('Loading the detector anew on auto, attempt 1, after: RuntimeError: CUDA error')
    fault.write_text('lost')
    stream.until_status(ERROR, 'The detector cannot be loaded anew: CUDA error: no device')
    assert peer.state() == 'active', 'it goes on trying'
    fault.write_text('works')
    stream.until_answered()
    stream.until_status(OK)
    _, message, values = stream.detector()
    assert message == 'active' and 'no device' in values['last error']
    assert int(values['last error, seconds ago']) >= 0
    assert node.log.count('On the CPU') == 0
    node.stop(signal.SIGTERM)


def test_it_goes_on_on_the_cpu_where_that_is_allowed(faulty, fault, peer):
    node = faulty('-p', 'cpu_fallback:=true')
    node.wait_for('Active on /image')
    stream = Stream(peer)
    fault.write_text('lost')
    stream.until_answered()
    assert 'anew on cpu, attempt 2' in node.log
    stream.until_status(WARN, 'On the CPU, because the configured device failed.')
    # Configuring anew gives the configured device another chance.
    fault.write_text('works')
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                       Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        assert peer.change_state(transition)
    stream.until_answered()
    stream.until_status(OK)
    node.stop(signal.SIGTERM)


def test_a_device_that_hangs_is_reported_and_does_not_hold_up_the_end(faulty, fault, peer):
    node = faulty()
    node.wait_for('Active on /image')
    stream = Stream(peer)
    stream.until_answered()
    fault.write_text('hangs')
    stream.until_status(ERROR, 'has been working on one batch for')
    node.stop(signal.SIGTERM)


def test_an_error_while_activating_is_processed_and_everything_can_be_tried_again(faulty, fault,
                                                                                 peer):
    fault.write_text('activate')
    node = faulty('-p', 'autostart:=false')
    assert peer.change_state(Transition.TRANSITION_CONFIGURE)
    assert not peer.change_state(Transition.TRANSITION_ACTIVATE)
    assert peer.state() == 'unconfigured'
    assert 'Cannot activate: RuntimeError: no more file handles' in node.log
    fault.write_text('works')
    assert peer.change_state(Transition.TRANSITION_CONFIGURE)
    assert peer.change_state(Transition.TRANSITION_ACTIVATE)
    Stream(peer).until_answered()
    node.stop(signal.SIGTERM)
