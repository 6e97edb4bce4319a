"""Random messages, parameters and calls for the real node over real DDS; then a good picture.

SSD_FUZZ_SECONDS=600 is the run to make before a release; a minute is the default.
"""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from fuzz import Random  # noqa: E402
from peer import header, image, picture  # noqa: E402
from process_figures import Growth  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_srvs.srv import SetBool  # noqa: E402

from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.ros.messages import detections_from_message  # noqa: E402

SECONDS = float(os.environ.get('SSD_FUZZ_SECONDS', '60'))
RATE_HZ = 100
SERVICE = '/ssd_detector/set_parameters'
PARAMETERS = {
    'score_threshold': (0.0, 0.5, 2.0, -1.0, float('nan'), float('inf'), 'high', 1),
    'nms_threshold': (0.5, -1.0, 1e308),
    'max_detections': (1, 1000, 0, -1, 2 ** 62, 1.5),
    'classes': ([''], ['cone'], ['dog'], ['x' * 1000] * 100),
    'class_thresholds': ([''], ['cone=0.1'], ['=', 'cone=nan', '\n'], ['cone=0.1'] * 2),
    'weights': ('nowhere', '../../etc/passwd', '/dev/zero', '/proc/self/mem', 'x' * 5000,
                '~nobody_at_all/x', '/', '..', 'a\nb', '\u202e'),
    'max_rate_hz': (0.0, 1000.0, -1.0),
    'no_image_timeout_s': (0.0, 0.1, 5.0, -1.0),
    'jpeg_quality': (1, 100, 0, 101),
    'device': ('cuda',), 'cameras': (['a', 'b'],), 'unknown': (1,),
}
SANE = {'score_threshold': -1.0, 'nms_threshold': 0.5, 'max_detections': 20, 'classes': [''],
        'class_thresholds': [''], 'max_rate_hz': 0.0, 'no_image_timeout_s': 5.0,
        'jpeg_quality': 80}


def parameter_request(random: Random) -> SetParameters.Request:
    name = random.choice(sorted(PARAMETERS))
    return SetParameters.Request(parameters=[
        Parameter(name, value=random.choice(PARAMETERS[name])).to_parameter_msg()])


@pytest.mark.slow
@pytest.mark.timeout(300 + 2 * SECONDS)
def test_random_messages_then_a_good_one(node_process, weights, peer):
    node = node_process('-p', f'weights:={weights}', '-p', 'max_detections:=20')
    node.wait_for('Active on /image')
    detections = peer.listen_to_detections()
    pictures = peer.listen(Image, '/detections/image')
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    publishers = {Image: peer.publisher(Image, '/image'),
                  CompressedImage: peer.publisher(CompressedImage, '/image/compressed')}
    setter = peer.node.create_client(SetParameters, SERVICE)
    enabler = peer.node.create_client(SetBool, '/ssd_detector/enable')
    assert setter.wait_for_service(30) and enabler.wait_for_service(30)
    random, growth, calls, sent = Random(6, largest_side=400), Growth(node.process.pid), [], 0
    answered = drawn = 0
    start = time.monotonic()
    while (now := time.monotonic()) < start + SECONDS:
        # Raw and compressed take turns of a second or two, so that the node goes after both.
        raw = int(now) % 4 < 2
        if raw is (Image not in publishers):
            kind, other = (Image, CompressedImage) if raw else (CompressedImage, Image)
            peer.silence('/image' if other is Image else '/image/compressed')
            publishers = {kind: peer.publisher(kind, '/image' if raw else '/image/compressed')}
        for kind, publisher in publishers.items():
            publisher.publish(random.image() if kind is Image else random.blob())
            sent += 1
        # A service keeps ten requests that wait; more would push out the oldest.
        waiting = sum(not call.done() for call in calls[-20:])
        if waiting < 5 and random.chance(0.02):
            calls.append(setter.call_async(parameter_request(random)))
        if waiting < 5 and random.chance(0.005):
            calls.append(enabler.call_async(SetBool.Request(data=random.chance(0.8))))
        peer.spin(max(0.0, start + sent / RATE_HZ - time.monotonic()))
        growth.sample(sent)
        answered, drawn = answered + len(detections), drawn + len(pictures)
        detections.clear()
        pictures.clear()
        del statuses[:-1]
        assert node.process.poll() is None, node.log[-3000:]
    peer.until(lambda: all(call.done() for call in calls), 30)
    peer.spin(2.0)  # diagnostics that count the last messages
    unanswered = sum(not call.done() for call in calls)
    counts = {v.key: v.value for v in statuses[-1].status[1].values if v.key.startswith('frames')}
    print(f'{sent} messages and {len(calls)} calls in {SECONDS:.0f} s, {answered} answered, '
          f'{drawn} drawn, {unanswered} calls without answer\nthe node: {counts}\n'
          f'{growth.report()}')
    assert unanswered == 0
    assert answered > 0 and drawn > 0 and int(counts['frames refused']) > 0

    for name, value in SANE.items():
        assert peer.set_parameter(name, value)[0], name
    assert peer.call(SetBool, '/ssd_detector/enable', SetBool.Request(data=True)).success
    rgb = picture(333, 217)
    answer = peer.ask(image(rgb, 77), detections)
    assert answer.header == header(77)
    found = detections_from_message(answer, ('cone', 'cube'))
    wanted = Detector.from_weights(weights, max_detections=20)([rgb])[0]
    assert len(found) == len(wanted) > 0
    np.testing.assert_allclose(found.xyxy, wanted.xyxy, atol=0.01)
    growth.assert_flat()
    # An 8K picture, annotated and published, takes 0.6 GB; whatever takes more is a bomb.
    memory_kb = growth.column('rss_kb')
    assert memory_kb.max() < memory_kb[0] + 1_000_000, growth.report()
    assert node.log.count('[ssd_detector]') < 60 + 2 * SECONDS, 'the log is flooded'
    node.stop(signal.SIGTERM)
