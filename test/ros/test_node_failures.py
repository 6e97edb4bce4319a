"""What cannot work ends with one clear sentence and a code, at once; nothing hangs."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytest.importorskip('rclpy')
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from peer import BEST_EFFORT, image, picture  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import String  # noqa: E402

FRONT = '/rover/front/image'
RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)


def sentence_of(node, code=1):
    """Return what a failed node said: exactly one line of its own."""
    assert node.ended() == code
    assert 'Traceback' not in node.log
    lines = [line for line in node.log.splitlines()
             if '[ssd_detector]' in line or line.startswith('detector_node:')]
    assert len(lines) == 1, node.log
    return lines[0]


@pytest.mark.parametrize('parameter, words', [
    ('device:=banana', ['"device"', 'auto, cpu', "'banana'"]),
    ('score_threshold:=7.0', ['"score_threshold"', '7.0']),
    ('max_detections:=many', ['"max_detections"', 'whole number', "'many'"]),
    ('weights:=/no/such.safetensors', ['/no/such.safetensors', 'not found']),
    ('weights:=no_such_name', ['"no_such_name" not found', 'tried: ', 'share/ssd_perception']),
])
def test_impossible_parameters(node_process, parameter, words):
    sentence = sentence_of(node_process('-p', parameter))
    assert all(word in sentence for word in words), sentence


def test_defect_d14_corrupt_weights(node_process, weights, tmp_path):
    corrupt = tmp_path / 'corrupt.safetensors'
    corrupt.write_bytes(weights.read_bytes()[:5000])
    sentence = sentence_of(node_process('-p', f'weights:={corrupt}'))
    assert str(corrupt) in sentence and 'not a readable safetensors file' in sentence


def test_cuda_that_is_not_there(node_process, weights):
    torch = pytest.importorskip('torch')
    if torch.cuda.is_available():
        pytest.skip('this machine has CUDA')
    sentence = sentence_of(node_process('-p', f'weights:={weights}', '-p', 'device:=cuda'))
    assert 'no CUDA device' in sentence


def test_a_name_that_is_nearly_right_is_pointed_out(node_process):
    node = node_process('-p', 'score_treshold:=0.5', '-p', 'device:=banana')
    assert node.ended() == 1
    assert '"score_treshold" is not known' in node.log
    assert 'mean "score_threshold"' in node.log


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_loading_is_a_clean_end(node_process, weights, peer, number):
    node = node_process('-p', f'weights:={weights}')
    assert peer.until(lambda: peer.node.count_publishers('/vision_info'), 30)
    node.stop(number)


def test_managed_node_survives_bad_weights_and_does_its_rounds(node_process, weights, peer,
                                                               tmp_path):
    (tmp_path / 'good.safetensors').symlink_to(weights)
    node = node_process('-p', 'autostart:=false', '-p', 'weights:=/no/such.safetensors',
                        '-p', f'weights_dirs:=["{weights.parent}"]')
    assert peer.state() == 'unconfigured'
    assert not peer.change_state(Transition.TRANSITION_CONFIGURE)
    assert peer.state() == 'unconfigured'
    assert '/no/such.safetensors" not found' in node.log
    assert peer.set_parameter('weights', weights.stem)[0]
    detections = peer.listen_to_detections()
    for number in (1, 2):
        assert peer.change_state(Transition.TRANSITION_CONFIGURE)
        assert peer.node.count_subscribers('/image') == 0, 'inactive: the camera may rest'
        assert peer.change_state(Transition.TRANSITION_ACTIVATE)
        assert peer.state() == 'active'
        peer.ask(image(picture(), number), detections)
        assert peer.change_state(Transition.TRANSITION_DEACTIVATE)
        node.wait_for('Deactivated: the camera is released.', count=number)
        assert peer.until(lambda: peer.node.count_subscribers('/image') == 0)
        assert peer.change_state(Transition.TRANSITION_CLEANUP)
        node.wait_for('Cleaned up: the detector and its device are released.', count=number)
    assert peer.change_state(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    node.stop(signal.SIGTERM)


def test_silence_is_explained_and_recovery_noticed(node_process, weights, peer):
    peer.publisher(Image, '/camera/image_raw')
    node = node_process('-p', f'weights:={weights}', '-p', 'no_image_timeout_s:=1.0',
                        '-r', 'image:=/camera/image',
                        '-p', 'qos_overrides./camera/image.subscription.reliability:=reliable')
    node.wait_for('Nobody publishes /camera/image or /camera/image/compressed')
    node.wait_for('image topics seen: /camera/image_raw;')  # said anew if it was seen late
    peer.publisher(String, '/camera/image')
    node.wait_for('publishes /camera/image as std_msgs/msg/String, but sensor_msgs/msg/Image')
    peer.silence('/camera/image')
    peer.publisher(Image, '/camera/image', BEST_EFFORT)
    node.wait_for('with a QoS that cannot serve this subscription')
    peer.silence('/camera/image')
    peer.publisher(Image, '/camera/image', RELIABLE)
    node.wait_for('PUBLISHER with FASTDDS_DEFAULT_PROFILES_FILE=')
    assert 'Images arrive' not in node.log
    detections = peer.listen_to_detections()
    peer.ask(image(picture(), 1), detections, '/camera/image')
    node.wait_for('Images arrive on /camera/image.')
    node.stop()


def test_two_cameras_under_a_namespace(node_process, weights, peer):
    node = node_process('-p', f'weights:={weights}', '-p', 'cameras:=[front, rear]',
                        '-p', 'no_image_timeout_s:=1.0',
                        '-p', f'qos_overrides.{FRONT}.subscription.reliability:=reliable',
                        '-r', '__ns:=/rover', '-r', 'rear/image:=/rear_camera/image_raw')
    node.wait_for('Active on /rover/front/image, /rear_camera/image_raw')
    for topic in ('/rover/front/image', '/rear_camera/image_raw'):
        # The node's own pictures, of neither camera, are proposed as the missing one.
        node.wait_for(f'Nobody publishes {topic} or {topic}/compressed; no image topic is seen')
    front = peer.listen_to_detections('/rover/front/detections')
    rear = peer.listen_to_detections('/rover/rear/detections')
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    peer.publisher(Image, '/rover/front/image', BEST_EFFORT)
    node.wait_for('publishes /rover/front/image with a QoS that cannot serve this subscription')
    node.wait_for('offering incompatible QoS')  # the middleware's own event
    assert peer.until(lambda: any(
        s.level == b'\x01' and 'QoS that cannot serve' in s.message and 'front' in s.name
        for m in statuses for s in m.status))
    # The override of one camera is none of the other's.
    peer.ask(image(picture(), 2), rear, '/rear_camera/image_raw')
    peer.silence('/rover/front/image')
    peer.publisher(Image, '/rover/front/image', RELIABLE)
    peer.ask(image(picture(), 1), front, '/rover/front/image')
    assert {m.header.frame_id for m in front} == {'camera_1'}
    assert {m.header.frame_id for m in rear} == {'camera_2'}
    node.stop(signal.SIGTERM)


def test_a_signal_while_the_node_is_being_made_is_a_clean_end():
    """The context goes away between two of the node's publishers, as a signal takes it away."""
    process = subprocess.run([sys.executable, '-c', """
import rclpy
from ssd_perception.ros import detector_node, node
positions = node.position_stages
def positions_after_the_signal(stages):
    rclpy.try_shutdown()
    return positions(stages)
node.position_stages = positions_after_the_signal
detector_node.main()
"""], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    assert 'RCLError:' not in process.stderr and 'Traceback' not in process.stderr
