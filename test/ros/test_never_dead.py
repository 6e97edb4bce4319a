"""The node answers again, or its diagnostics say ERROR: whatever is set, and whatever hangs."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from peer import Peer, image, picture  # noqa: E402
from vision_msgs.msg import VisionInfo  # noqa: E402

OK, ERROR = b'\x00', b'\x02'


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
    start = time.monotonic()
    peer.ask(image(picture(), 3), detections)
    assert time.monotonic() - start < 4


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
