"""The real node in its own process, over DDS: what it answers to good pictures and to bad ones.

One node serves all these tests, as it would a robot: each must leave it fit for the next.
"""

from __future__ import annotations

import signal

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from odd_jpegs import odd_jpegs  # noqa: E402
from peer import header, image, picture  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402
from vision_msgs.msg import LabelInfo, VisionInfo  # noqa: E402

from ssd_perception.imaging.encodings import to_rgb  # noqa: E402
from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.ros.messages import detections_from_message  # noqa: E402

NAMES = ('cone', 'cube')
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope='module')
def node(node_process, weights):
    """A running node; at the end it is stopped while pictures pour in."""
    process = node_process('-p', f'weights:={weights}', '-p', 'max_detections:=20',
                           '-p', f'weights_dirs:=["{weights.parent}"]')
    process.wait_for('Active on /image')
    return process


@pytest.fixture(scope='module')
def offline(weights):
    return Detector.from_weights(weights, max_detections=20)


def assert_same(message, wanted):
    found = detections_from_message(message, NAMES)
    assert len(found) == len(wanted) > 0
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-5)
    np.testing.assert_allclose(found.xyxy, wanted.xyxy, atol=0.01)


@pytest.mark.parametrize('size', [(96, 64), (333, 217), (1921, 1081)])
def test_defects_d4_d5_d8_boxes_are_the_detectors_own_in_source_pixels(peer, detections, offline,
                                                                       size):
    rgb = picture(*size)
    answer = peer.ask(image(rgb, sum(size), padding=7), detections)
    assert_same(answer, offline([rgb])[0])


def test_defects_d1_d9_d10_every_header_is_the_frames_own(peer, detections):
    pictures = peer.listen(Image, '/detections/image')
    frame = image(picture(), 10)
    answer = peer.ask(frame, detections)
    assert [d.header for d in answer.detections] == [frame.header] * 20
    peer.until(lambda: peer.node.count_subscribers('/detections/image'))
    peer.ask(image(picture(), 11), detections)
    assert peer.until(lambda: [p for p in pictures if p.header == header(11)])


def test_defect_d2_an_empty_frame_is_answered(peer, detections):
    assert peer.set_parameter('score_threshold', 0.9)[0]
    answer = peer.ask(image(picture(), 20), detections)
    assert answer.detections == []
    assert peer.set_parameter('score_threshold', -1.0)[0]
    assert peer.ask(image(picture(), 21), detections).detections


def test_compressed_input_by_itself(peer, detections, offline):
    """Raw gives way to compressed, and takes over again when it is back."""
    rgb = picture(200, 120)
    blob = cv2.imencode('.png', rgb[..., ::-1])[1].tobytes()
    frame = CompressedImage(header=header(30), format='png', data=blob)
    assert_same(peer.ask(frame, detections, '/image/compressed'), offline([rgb])[0])
    peer.ask(image(picture(), 31), detections)


def test_odd_jpegs_are_answered_as_a_plain_one(peer, detections, offline):
    odd = odd_jpegs(picture(96, 64)[..., ::-1])
    plain = cv2.imdecode(np.frombuffer(odd['plain'], np.uint8), cv2.IMREAD_COLOR)
    expected = offline([np.ascontiguousarray(plain[..., ::-1])])[0]
    for number, blob in enumerate(odd.values()):
        frame = CompressedImage(header=header(3000 + number), format='jpeg', data=blob)
        assert_same(peer.ask(frame, detections, '/image/compressed'), expected)
    peer.ask(image(picture(), 3100), detections)  # and raw again


def test_annotated_pictures(peer, detections):
    rgb = picture(200, 120)
    raw = peer.listen(Image, '/detections/image')
    jpeg = peer.listen(CompressedImage, '/detections/image/compressed')
    peer.ask(image(rgb, 41), detections)
    peer.spin(0.5)
    peer.ask(image(rgb, 42), detections)
    assert peer.until(lambda: raw and jpeg)
    for message in (raw[-1], jpeg[-1]):
        assert message.header in (header(41), header(42))
        drawn = to_rgb(message)
        assert drawn.shape == rgb.shape
        assert (np.abs(drawn.astype(int) - rgb).max(-1) > 60).any(), 'nothing is drawn'


def test_latched_information(peer, detections):
    vision = peer.listen(VisionInfo, '/vision_info', LATCHED)
    labels = peer.listen(LabelInfo, '/label_info', LATCHED)
    assert peer.until(lambda: vision and labels)
    assert [(c.class_id, c.class_name) for c in labels[-1].class_map] == [(0, 'cone'), (1, 'cube')]
    assert labels[-1].threshold == pytest.approx(0.005)
    assert vision[-1].database_location == '/label_info'
    assert 'tiny.safetensors' in vision[-1].method and 'cpu' in vision[-1].method
    before = vision[-1].database_version
    assert peer.set_parameter('score_threshold', 0.25)[0]
    assert peer.until(lambda: vision[-1].database_version == before + 1)
    assert peer.until(lambda: labels[-1].threshold == 0.25)
    assert peer.set_parameter('score_threshold', -1.0)[0]


@pytest.mark.parametrize('name, value, words', [
    ('score_threshold', 1.5, ['score_threshold', '1.5']),
    ('max_detections', 0, ['max_detections']),
    ('max_rate_hz', 1e-300, ['max_rate_hz', '0.0 or', 'from 0.1 to 1000.0', '1e-300']),
    ('nms_threshold', 1, ['nms_threshold', 'a number with a decimal point', 'got 1.']),
    ('classes', ['dog'], ['"dog"', 'cone, cube']),
    ('class_thresholds', ['cone=x'], ['NAME=SCORE', '"cone=x"']),
    ('class_thresholds', ['dog=0.5'], ['"dog"']),
    ('device', 'cpu', ['read-only']),
    ('weights', '/etc/passwd', ['/etc/passwd', 'weights_dirs']),
    ('weights', 'nowhere', ['"nowhere" not found']),
])
def test_changes_are_refused_with_the_reason(peer, node, name, value, words):
    accepted, reason = peer.set_parameter(name, value)
    assert not accepted and all(word in reason for word in words), reason


def test_classes_and_counts_change_while_running(peer, node, detections):
    assert peer.set_parameter('classes', ['cube'])[0]
    assert peer.set_parameter('max_detections', 3)[0]
    node.wait_for('Parameter max_detections is now 3.')
    answer = peer.ask(image(picture(), 50), detections)
    assert [d.results[0].hypothesis.class_id for d in answer.detections] == ['cube'] * 3
    assert peer.set_parameter('classes', [''])[0]
    assert peer.set_parameter('max_detections', 20)[0]


def test_weights_are_swapped_without_losing_the_stream(peer, node, detections, weights):
    other = weights.with_name('other.safetensors')
    other.write_bytes(weights.read_bytes())
    (weights.parent / 'broken.safetensors').write_bytes(b'no weights')
    vision = peer.listen(VisionInfo, '/vision_info', LATCHED)
    assert peer.set_parameter('weights', 'other')[0]
    node.wait_for('answers until then.')
    number = 100
    while not (vision and 'other.safetensors' in vision[-1].method):
        peer.ask(image(picture(), number := number + 1), detections)
        assert number < 1000
    assert peer.set_parameter('weights', 'broken')[0]
    node.wait_for('Keeping other:')
    peer.ask(image(picture(), 61), detections)
    assert peer.set_parameter('weights', str(weights))[0]
    assert peer.until(lambda: 'tiny.safetensors' in vision[-1].method, 30)


def test_enable_pauses_and_resumes(peer, node, detections):
    service = '/ssd_detector/enable'
    assert peer.call(SetBool, service, SetBool.Request(data=False)).success
    node.wait_for('Paused: images are not looked at.')
    publisher = peer.publisher(Image, '/image')
    peer.until(publisher.get_subscription_count)
    for number in range(5):
        publisher.publish(image(picture(), 70 + number))
        peer.spin(0.1)
    assert detections == []
    assert peer.call(SetBool, service, SetBool.Request(data=True)).success
    peer.ask(image(picture(), 79), detections)


@pytest.mark.parametrize('number, fields, word', [
    (80, dict(encoding='banana'), '"banana"'),
    (81, dict(step=3), 'step of at least'),
    (82, dict(data=b''), 'needs'),
    (83, dict(width=0), 'no pixels'),
    (84, dict(height=0xFFFFFFFF), 'needs'),
])
def test_a_bad_frame_is_told_in_one_line_and_survived(peer, node, detections, number, fields,
                                                      word):
    bad = image(picture(), number)
    for name, value in fields.items():
        setattr(bad, name, value)
    publisher = peer.publisher(Image, '/image')
    peer.until(publisher.get_subscription_count)
    diagnostics = peer.listen(DiagnosticArray, '/diagnostics')

    def reported():
        publisher.publish(bad)
        peer.spin(0.1)
        return [s for m in diagnostics for s in m.status
                if s.level == b'\x01' and word in s.message]
    assert peer.until(reported, 10)
    peer.ask(image(picture(), number + 10), detections)


def test_diagnostics(peer, node, detections, weights, offline):
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    for _ in range(12):
        frame = image(picture(), 100)
        frame.header.stamp = peer.node.get_clock().now().to_msg()
        peer.ask(frame, detections)
        peer.spin(0.2)
    detector, camera = statuses[-1].status
    assert detector.name == '/ssd_detector: detector' and detector.message == 'active'
    values = {v.key: v.value for v in detector.values}
    assert values['weights'] == str(weights) and len(values['weights sha256']) == 64
    assert (values['device'], values['runtime'], values['precision']) == (
        'cpu', offline.runtime, 'fp32')
    assert camera.name == '/ssd_detector: /image'
    seen = [(v.key, v.value) for m in statuses for s in m.status[1:] for v in s.values]
    assert {'age (ms)', 'network (ms)', 'rate in (Hz)', 'last error'} <= {key for key, _ in seen}
    assert ('picture', '96x64 rgb8') in seen
    assert any(0 < float(value) < 20_000 for key, value in seen if key == 'age (ms)')


def test_a_flood_is_answered_with_its_newest_frames(peer, node, detections):
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    publisher = peer.publisher(Image, '/image')
    peer.until(publisher.get_subscription_count)
    peer.until(lambda: statuses)
    # The small network may be faster than this test can publish, so it is slowed down.
    assert peer.set_parameter('max_rate_hz', 20.0) == (True, '')
    big = picture(1280, 720)
    for number in range(200, 320):
        publisher.publish(image(big, number))
        peer.spin(0.002)
    assert peer.until(lambda: detections and detections[-1].header == header(319), 30)
    assert len(detections) < 120, 'every frame was answered: there is a queue'
    assert peer.set_parameter('max_rate_hz', 0.0) == (True, '')
    peer.spin(1.5)
    values = {v.key: v.value for v in statuses[-1].status[1].values}
    assert int(values['frames dropped for a newer one']) > 0
    stamps = [d.header.stamp.sec for d in detections]
    assert stamps == sorted(stamps)


def test_sigint_under_load_is_a_clean_end(peer, node, detections):
    """The last test: the node is gone afterwards."""
    publisher = peer.publisher(Image, '/image')
    peer.until(publisher.get_subscription_count)
    for number in range(400, 430):
        publisher.publish(image(picture(1280, 720), number))
        peer.spin(0.01)
    node.stop(signal.SIGINT)
    warnings = [line for line in node.log.splitlines() if '"banana"' in line]
    assert len(warnings) == 1, 'one throttled sentence, not one per frame'
    assert peer.until(lambda: not peer.node.count_publishers('/detections'), 5), 'it said goodbye'
