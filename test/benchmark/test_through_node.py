"""What the benchmark's listener counts of the node's answers."""

import threading

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from vision_msgs.msg import Detection2DArray  # noqa: E402

from ssd_perception.benchmark.camera_process import publish, topics  # noqa: E402
from ssd_perception.benchmark.many_cameras import CamerasListener  # noqa: E402
from ssd_perception.benchmark.results import Ages, CamerasCase  # noqa: E402
from ssd_perception.benchmark.through_node import Listener  # noqa: E402


@pytest.fixture
def listener():
    listener = Listener()
    yield listener
    listener.close()


def answer(listener):
    """Return an answer to a frame of now."""
    return Detection2DArray(header=Header(stamp=listener._node.get_clock().now().to_msg()))


def test_the_last_cameras_answers_are_not_the_new_ones(listener):
    late = answer(listener)
    listener._answer(late)
    assert len(listener.ages) == 1
    listener.expect_new_camera()
    listener._answer(late)
    assert listener.ages == []
    listener._answer(answer(listener))
    assert len(listener.ages) == 1 and 0 <= listener.ages[0] < 5


class Publisher(list):
    def __init__(self, stopped):
        super().__init__()
        self.stopped = stopped

    def publish(self, data):
        self.append(deserialize_message(data, Image))
        if len(self) == 3:
            self.stopped.set()


def test_a_serialised_image_gets_the_stamp_of_its_moment_and_each_camera_its_share(listener):
    stopped = threading.Event()
    cameras = [Publisher(stopped), Publisher(stopped)]
    image = Image(header=Header(frame_id='camera'), height=2, width=1, encoding='mono8', step=1,
                  data=b'\x01\x02')
    publish(cameras, serialize_message(image), 200.0, stopped)
    assert [len(camera) for camera in cameras] == [3, 2]
    stamps = []
    for sent in [sent for pair in zip(*cameras) for sent in pair]:
        stamps.append((sent.header.stamp.sec, sent.header.stamp.nanosec))
        sent.header.stamp = image.header.stamp
        assert sent == image
    assert stamps == sorted(set(stamps))


def test_answers_of_many_cameras_are_counted_by_their_stamps():
    listener = CamerasListener(2, 1)
    try:
        first, second = listener.of_camera
        assert (first, second) == ('camera_0/detections', 'camera_1/detections')
        assert [topic.removesuffix('image') + 'detections' for topic in topics(2)] == [
            first, second] and topics(0) == ['image']
        assert not listener.all_answered() and listener.received() == (0, 0)
        late = serialize_message(answer(listener))
        listener._stamped(listener.of_camera[first], late)
        assert not listener.all_answered()
        listener._stamped(listener.of_camera[second], late)
        assert listener.all_answered() and all(
            0 <= age < 5 for ages in listener.of_camera.values() for age in ages)
        listener.expect_new_camera()
        listener._stamped(listener.of_camera[first], late)
        assert not any(listener.of_camera.values()), "the last cameras' answers"
    finally:
        listener.close()


@pytest.mark.parametrize('answers, least, fairness', [(60, 15, 1), (40, 5, 0.5), (0, 0, 0)])
def test_the_worst_cameras_share(answers, least, fairness):
    case = CamerasCase(1, 4, 'raw', 15, 4, answers, least, Ages(1, 2, 3), 60, 0, 0, 1, 1, 1, 1, 1)
    assert case.fairness == fairness
