"""Which picture is this detection for: consumers that pair messages by their exact stamps."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from peer import BEST_EFFORT, header, image, picture  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from vision_msgs.msg import Detection2DArray  # noqa: E402

TOPICS = {'/image': (Image, BEST_EFFORT), '/detections': (Detection2DArray, 10),
          '/detections/image': (Image, 10)}
FRAMES = 20


def by_hand(node, pairs: list):
    """Pair as a consumer without libraries does: by a dict from stamp to messages."""
    waiting = {}

    def keep(topic, message):
        stamp = message.header.stamp.sec, message.header.stamp.nanosec
        found = waiting.setdefault(stamp, {})
        found[topic] = message
        if len(found) == len(TOPICS):
            pairs.append(tuple(found[name] for name in TOPICS))
            del waiting[stamp]
    for topic, (kind, qos) in TOPICS.items():
        node.create_subscription(kind, topic, lambda m, topic=topic: keep(topic, m), qos)


def by_message_filters(node, pairs: list):
    """Pair as most consumers do."""
    filters = pytest.importorskip('message_filters')
    synchroniser = filters.TimeSynchronizer(
        [filters.Subscriber(node, kind, topic, qos_profile=qos)
         for topic, (kind, qos) in TOPICS.items()], 10)
    synchroniser.registerCallback(lambda *messages: pairs.append(messages))
    return synchroniser


@pytest.mark.parametrize('pair', [by_hand, by_message_filters])
def test_camera_picture_detections_and_annotated_picture_have_one_stamp(peer, node, pair):
    pairs = []
    kept = pair(peer.node, pairs)
    answers = peer.listen_to_detections()
    assert peer.until(lambda: all(peer.node.count_publishers(topic) for topic in
                                  ('/detections', '/detections/image')))
    publisher = peer.publisher(Image, '/image')
    assert peer.until(lambda: publisher.get_subscription_count() == 2)  # the node, and this test
    # The annotated picture is drawn once the node knows that somebody looks.
    assert peer.until(lambda: peer.ask(image(picture(), 999), answers) and pairs, 30)
    pairs.clear()
    for number in range(FRAMES):
        peer.ask(image(picture(160, 120, number), number), answers)
    assert peer.until(lambda: pairs and pairs[-1][0].header == header(FRAMES - 1)), len(pairs)
    numbers = [camera.header.stamp.sec - 1000 for camera, _, _ in pairs]
    numbers = [number for number in numbers if number != 999]
    # A picture may be lost on the way, as best effort may; an answer has no other picture's stamp.
    assert len(numbers) > FRAMES // 2 and numbers == sorted(set(numbers))
    for camera, detections, drawn in pairs:
        assert camera.header == detections.header == drawn.header
        assert (drawn.width, drawn.height) == (camera.width, camera.height)
        assert len(detections.detections) == 20
    del kept
