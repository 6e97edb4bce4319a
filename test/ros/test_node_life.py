"""A long life: rounds of the lifecycle, a clock that jumps, cameras that change, other readers."""

from __future__ import annotations

import os
import signal

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from builtin_interfaces.msg import Time  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from peer import header, image, picture  # noqa: E402
from process_figures import Growth  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from vision_msgs.msg import Detection2DArray  # noqa: E402

ROUNDS = int(os.environ.get('SSD_LIFECYCLE_ROUNDS', '30'))
ROUND = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE,
         Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)


@pytest.mark.slow
@pytest.mark.timeout(300 + 15 * ROUNDS)
def test_rounds_of_the_lifecycle_leave_nothing_behind(node_process, weights, peer):
    """SSD_LIFECYCLE_ROUNDS=100 is the run to make before a release."""
    node = node_process('-p', f'weights:={weights}', '-p', 'autostart:=false')
    detections, growth = peer.listen_to_detections(), Growth(node.process.pid)
    for number in range(ROUNDS):
        for transition in ROUND:
            assert peer.change_state(transition), node.log[-2000:]
            if transition == Transition.TRANSITION_ACTIVATE:
                peer.ask(image(picture(), number), detections)
        peer.spin(0.3)  # threads that were stopped end a little after the answer
        growth.sample(number, now=True)
    print(f'{ROUNDS} rounds\n{growth.report()}')
    growth.assert_flat(memory_kb=20_000)
    node.stop(signal.SIGTERM)


def values(status):
    return {v.key: v.value for v in status.values}


def test_time_that_jumps_back_resets_and_does_not_freeze(node_process, weights, peer):
    """As a bag that is played in a loop: /clock and the stamps begin again."""
    node = node_process('-p', f'weights:={weights}', '-p', 'use_sim_time:=true',
                        '-p', 'max_rate_hz:=20.0')
    node.wait_for('Active on /image')
    detections, statuses = peer.listen_to_detections(), peer.listen(DiagnosticArray,
                                                                    '/diagnostics')
    clock = peer.publisher(Clock, '/clock', 10)
    assert peer.until(clock.get_subscription_count)

    def play(start: int):
        """Tell ten seconds of time, and ask in each of them."""
        for second in range(start, start + 10):
            clock.publish(Clock(clock=Time(sec=second)))
            peer.spin(0.1)
            frame = image(picture(), 0)
            frame.header.stamp = Time(sec=second - 1, nanosec=500_000_000)
            detections.clear()
            peer.ask(frame, detections)
    play(5000)
    assert 'Time went back' not in node.log
    play(4000)
    node.wait_for('Time went back by 1009.0 s; frames and figures from before that are forgotten')
    statuses.clear()
    assert peer.until(lambda: len(statuses) >= 2, 20), 'diagnostics stand still'
    play(4010)
    ages = [float(v) for m in statuses for s in m.status for k, v in values(s).items()
            if k in ('age (ms)', 'age, worst (ms)')]
    assert ages and all(0 <= age <= 3000 for age in ages), 'ages across the jump'
    assert all(s.header.stamp.sec < 4100 for s in statuses)
    node.stop(signal.SIGTERM)


def test_a_camera_changes_its_size_its_encoding_and_its_transport(peer, node):
    detections = peer.listen_to_detections()
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    for number, (width, height) in enumerate(((320, 240), (64, 48), (241, 321))):
        assert peer.ask(image(picture(width, height), number), detections).detections
    grey = picture()[..., 0].copy()
    assert peer.ask(Image(header=header(10), height=64, width=96, encoding='mono8', step=96,
                          data=grey.tobytes()), detections)
    # The driver is started anew and now compresses only; then it is changed back.
    peer.silence('/image')
    blob = cv2.imencode('.jpg', grey)[1].tobytes()
    peer.ask(CompressedImage(header=header(11), format='jpeg', data=blob), detections,
             '/image/compressed', tries=20)
    assert peer.until(lambda: any(v.value == '/image/compressed' for m in statuses
                                  for v in m.status[1].values)), 'diagnostics say which is in use'
    peer.silence('/image/compressed')
    # A driver that publishes JPEGs under any name, here that of the raw images.
    peer.ask(CompressedImage(header=header(12), format='jpeg', data=blob), detections, tries=20)
    peer.silence('/image')
    peer.ask(image(picture(), 13), detections, tries=20)
    names = {status.name for message in statuses for status in message.status}
    assert names == {'/ssd_detector: detector', '/ssd_detector: /image'}, 'none goes stale'


@pytest.mark.parametrize('offset_s, words', [
    (3600, 'ahead of this node'), (-10 ** 9, 'behind this node'), (None, '')])
def test_stamps_that_cannot_be_are_reported_and_carried_along(peer, node, offset_s, words):
    detections = peer.listen_to_detections()
    statuses = peer.listen(DiagnosticArray, '/diagnostics')
    now = peer.node.get_clock().now().nanoseconds // 10 ** 9
    frame = image(picture(), 0)
    frame.header.stamp = Time(sec=0 if offset_s is None else now + offset_s)

    def reported():
        detections.clear()
        assert peer.ask(frame, detections).header == frame.header
        return any(words in s.message for m in statuses for s in m.status[1:])
    assert peer.until(reported, 30)


def test_rosbags_reads_our_messages_and_pairs_pictures_with_detections(peer, node, tmp_path):
    """The bytes on the wire, into a recording, read by a library that shares no code with ROS."""
    pytest.importorskip('rosbags')
    from rosbags.highlevel import AnyReader
    from rosbags.rosbag2 import StoragePlugin, Writer

    from ssd_perception.bags.types import typestore
    topics = {'/detections': ('vision_msgs/msg/Detection2DArray', Detection2DArray),
              '/detections/image': ('sensor_msgs/msg/Image', Image)}
    wire = {topic: [] for topic in topics}
    for topic, (_, kind) in topics.items():
        peer.node.create_subscription(kind, topic, wire[topic].append, 10, raw=True)
    answers = peer.listen_to_detections()
    assert peer.until(lambda: peer.node.count_publishers('/detections/image'))
    peer.ask(image(picture(), 0), answers)
    peer.until(lambda: wire['/detections/image'], 5)
    sent = [image(picture(200, 120, seed), 50 + seed) for seed in range(5)]
    for frame in sent:
        peer.ask(frame, answers)
    peer.spin(1.0)

    store, path = typestore(), tmp_path / 'bag'
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, (name, _) in topics.items():
            connection = writer.add_connection(topic, name, typestore=store)
            for number, data in enumerate(wire[topic]):
                writer.write(connection, number, data)
    found = {topic: {} for topic in topics}
    with AnyReader([path], default_typestore=store) as reader:
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            stamp = message.header.stamp
            found[connection.topic][stamp.sec, stamp.nanosec] = message
    stamps = {(f.header.stamp.sec, f.header.stamp.nanosec) for f in sent}
    assert stamps <= found['/detections'].keys()
    paired = stamps & found['/detections/image'].keys()
    assert paired, 'every picture has the stamp of its detections'
    assert found['/detections/image'].keys() <= found['/detections'].keys()
    for stamp in paired:
        drawn, seen = found['/detections/image'][stamp], found['/detections'][stamp]
        assert (drawn.width, drawn.height, drawn.encoding) == (200, 120, 'rgb8')
        assert drawn.header.frame_id == seen.header.frame_id == f'camera_{stamp[0] - 1000}'
        assert len(seen.detections) == 20
        for detection in seen.detections:
            box = detection.bbox
            assert 0 <= box.center.position.x <= 200 and 0 < box.size_x <= 200
            assert detection.results[0].hypothesis.class_id in ('cone', 'cube')
        assert np.diff([d.results[0].hypothesis.score for d in seen.detections]).max() <= 0
