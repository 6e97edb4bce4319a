"""The node answers again, or its diagnostics say ERROR: whatever is set, and whatever hangs."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from peer import Peer, image, picture  # noqa: E402
from rcl_interfaces.msg import Parameter as ParameterMessage  # noqa: E402
from rcl_interfaces.msg import ParameterValue  # noqa: E402
from rcl_interfaces.srv import (  # noqa: E402
    GetParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.parameter import Parameter  # noqa: E402
from staged_node import GROWS  # noqa: E402
from vision_msgs.msg import VisionInfo  # noqa: E402
from worker_bench import Log  # noqa: E402

from ssd_perception.core.postprocess import PostprocessSettings  # noqa: E402
from ssd_perception.ros import process  # noqa: E402
from ssd_perception.ros.parameters import NodeParameters  # noqa: E402
from ssd_perception.ros.slot import DetectorSlot, Serving  # noqa: E402

OK, WARN, ERROR = b'\x00', b'\x01', b'\x02'


@pytest.fixture(scope='module')
def folder(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp('weights_dir')
    for name in ('hangs', 'good'):
        shutil.copy(weights, folder / f'{name}.safetensors')
    return folder


@pytest.fixture(scope='module')
def node(node_process, weights, folder):
    node = node_process('-p', f'weights:={weights}', '-p', f"weights_dirs:=['{folder}']",
                        program=(str(Path(__file__).with_name('staged_node.py')),))
    node.wait_for('Active on /image')
    return node


@pytest.fixture(scope='module')
def peer(node):
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture(scope='module')
def detections(peer):
    return peer.listen_to_detections()


def test_detections_of_the_node_go_through_its_stages(peer, detections):
    answer = peer.ask(image(picture(), 1), detections)
    assert [found.id for found in answer.detections] == ['100', '101', '102']


@pytest.mark.parametrize('rate_hz', [1e-300, 0.001, 0.09, -1.0, float('nan'), float('inf')])
def test_a_rate_that_makes_no_sense_is_refused_in_a_sentence(peer, rate_hz):
    accepted, reason = peer.set_parameter('max_rate_hz', rate_hz)
    # Beyond the range of its descriptor rclpy refuses it, in its own words.
    assert not accepted and ('"max_rate_hz" must be 0.0 or a number' in reason
                             or 'max_rate_hz out of range' in reason)


def test_a_rate_that_changes_ends_the_wait(peer, detections):
    assert peer.set_parameter('max_rate_hz', 0.1)[0]
    peer.ask(image(picture(), 2), detections)
    assert peer.set_parameter('max_rate_hz', 0.0)[0]
    peer.ask(image(picture(), 3), detections, tries=2)  # 8 s, less than the old rate's 10


def test_a_malformed_request_costs_itself_and_is_a_warning(peer, node, detections):
    """rclpy raises for it, which ended the process."""
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    client = peer.node.create_client(SetParameters, '/ssd_detector/set_parameters')
    assert peer.until(client.service_is_ready)
    client.call_async(SetParameters.Request(parameters=[
        ParameterMessage(name='max_rate_hz', value=ParameterValue(type=77))]))
    assert peer.until(lambda: any('A message, request or timer failed: ValueError: 77' in s.message
                                  and s.level == WARN for m in statuses for s in m.status))
    peer.ask(image(picture(), 6), detections)


def test_a_node_that_was_held_up_warns(peer, node, detections):
    """Frames of that time were never received, so nothing else can tell."""
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    node.process.send_signal(signal.SIGSTOP)
    time.sleep(2.8)
    node.process.send_signal(signal.SIGCONT)
    assert peer.until(lambda: any('was held up for ' in s.message and s.level == WARN
                                  for m in statuses for s in m.status))
    peer.ask(image(picture(), 10), detections)


def test_weights_are_set_back_where_no_thread_can_be_started(monkeypatch):
    log, wanted = Log(), [NodeParameters(weights='old')]
    slot = DetectorSlot(lambda _: None, lambda: wanted[0], log, lambda: None, lambda: None)
    detector = SimpleNamespace(class_names=('cone',))
    slot._serving = Serving(detector, PostprocessSettings(), 'old', '')
    monkeypatch.setattr(threading.Thread, 'start', no_thread)
    wanted[0] = NodeParameters(weights='new')
    slot.apply()
    assert slot.update(0.0)['weights'] == 'old'
    assert "can't start new thread" in log[-1]


def no_thread(thread):
    raise RuntimeError("can't start new thread")


def test_a_callback_that_fails_late_costs_itself_and_failures_alone_end_the_process(monkeypatch):
    now, errors, most = [100.0], [], [1]

    class Executor:
        context = SimpleNamespace(ok=lambda: len(errors) < most[0])

        def add_node(self, node):
            pass

        def remove_node(self, node):
            pass

        def spin_once(self):
            now[0] += 2 * process.BROKEN_AFTER_S
            raise ValueError
    monkeypatch.setattr(process, 'SingleThreadedExecutor', Executor)
    monkeypatch.setattr(process, 'time', SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(process.rclpy, 'ok', lambda: True)
    process.spin(SimpleNamespace(callback_failed=errors.append))
    most[0] = 3
    with pytest.raises(ValueError):
        process.spin(SimpleNamespace(callback_failed=errors.append))
    assert len(errors) == 2


def test_a_label_of_a_transition_forges_no_log(peer, node):
    request = ChangeState.Request()
    request.transition.label = '\x1b[31m' + 'x' * 100_000
    before = len(node.log)
    assert not peer.call(ChangeState, '/ssd_detector/change_state', request).success
    assert '\x1b' not in node.log and len(node.log) < before + 1000


def test_memory_that_the_middleware_keeps_is_freed(peer, node, detections):
    peer.ask(image(picture(96, GROWS), 7), detections)
    node.wait_for('This process has grown much; its subscriptions are made anew')
    peer.ask(image(picture(), 8), detections)


def test_parameters_that_contradict_each_other_are_set_back_together(peer, node, detections,
                                                                     folder, weights):
    (folder / 'broken.safetensors').write_bytes(b'no weights')
    request = SetParametersAtomically.Request(parameters=[
        Parameter('weights', value='broken').to_parameter_msg(),
        Parameter('classes', value=['dog']).to_parameter_msg()])
    service = '/ssd_detector/set_parameters_atomically'
    assert peer.call(SetParametersAtomically, service, request).result.successful
    node.wait_for('Keeping ')
    names = GetParameters.Request(names=['weights', 'classes'])
    assert peer.until(lambda: [
        value.string_value or list(value.string_array_value) for value in peer.call(
            GetParameters, '/ssd_detector/get_parameters', names).values] == [str(weights), ['']])
    assert peer.set_parameter('score_threshold', 0.0)[0]
    peer.ask(image(picture(), 9), detections)
    assert node.log.count('Keeping ') == 1, 'the broken weights were tried again'


def test_weights_that_never_load_do_not_block_the_next(node, peer, detections):
    infos = peer.listen(VisionInfo, '/vision_info', 1)
    assert peer.set_parameter('weights', 'hangs')[0]
    peer.ask(image(picture(), 4), detections)
    assert peer.set_parameter('weights', 'good')[0]
    assert peer.until(lambda: infos and 'good.safetensors' in infos[-1].method, 40)
    assert 'Loading hangs has not ended after 2 s and is abandoned.' in node.log
    peer.ask(image(picture(), 5), detections)
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    assert peer.until(lambda: statuses)
    detector, camera = statuses[-1].status
    assert detector.level == OK and camera.level != ERROR
