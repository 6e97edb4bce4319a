"""Without what Humble's rclpy lacks, set parameters are applied all the same, refused ones not."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from peer import image, picture  # noqa: E402
from rcl_interfaces.srv import GetParameters, SetParametersAtomically  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

NODE = '/ssd_detector'


@pytest.fixture(scope='module')
def node(node_process, weights):
    """The node in a process whose rclpy has no add_post_set_parameters_callback."""
    process = node_process('-p', f'weights:={weights}',
                           '-p', f'weights_dirs:=["{weights.parent}"]',
                           program=(str(Path(__file__).with_name('humble_node.py')),))
    process.wait_for('Active on /image')
    return process


def set_together(peer, **values):
    """Set parameters all or none; return (accepted, reason)."""
    request = SetParametersAtomically.Request(parameters=[
        Parameter(name, value=value).to_parameter_msg() for name, value in values.items()])
    result = peer.call(SetParametersAtomically, f'{NODE}/set_parameters_atomically',
                       request).result
    return result.successful, result.reason


def test_what_was_set_is_applied(peer, detections):
    assert peer.ask(image(picture(), 1), detections).detections
    assert peer.set_parameter('score_threshold', 0.9)[0]
    assert not peer.ask(image(picture(), 2), detections).detections
    assert set_together(peer, score_threshold=-1.0, max_detections=3) == (True, '')
    assert len(peer.ask(image(picture(), 3), detections).detections) == 3


def test_what_was_refused_is_not_applied(peer, detections):
    assert set_together(peer, score_threshold=-1.0, max_detections=3)[0]
    accepted, reason = set_together(peer, max_detections=5, classes=['nothing'])
    assert not accepted and 'nothing' in reason
    # refused by another callback than the node's own, after it
    assert not set_together(peer, max_detections=5, use_sim_time='yes')[0]
    assert len(peer.ask(image(picture(), 11), detections).detections) == 3


def test_a_parameter_that_the_node_sets_back_is_applied(peer, node, detections, weights):
    (weights.parent / 'broken.safetensors').write_bytes(b'no weights')
    assert peer.set_parameter('weights', 'broken')[0]
    node.wait_for('Keeping ')
    request = GetParameters.Request(names=['weights'])
    assert peer.until(lambda: peer.call(GetParameters, f'{NODE}/get_parameters', request)
                      .values[0].string_value == str(weights))
    assert peer.set_parameter('max_detections', 4)[0]
    assert len(peer.ask(image(picture(), 21), detections).detections) == 4
    assert node.log.count('Keeping ') == 1, 'the broken weights were tried again'


def test_messages_pass_humbles_checks(peer, node, detections):
    pictures = peer.listen(Image, '/detections/image')
    jpegs = peer.listen(CompressedImage, '/detections/image/compressed')
    peer.until(lambda: peer.node.count_subscribers('/detections/image/compressed'))
    for number in range(30, 40):
        peer.ask(image(picture(), number), detections)
        if pictures and jpegs:
            break
    assert pictures and jpegs
    assert 'AssertionError' not in node.log and 'refused' not in node.log
