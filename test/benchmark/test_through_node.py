"""What the benchmark's listener counts of the node's answers."""

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
from std_msgs.msg import Header  # noqa: E402
from vision_msgs.msg import Detection2DArray  # noqa: E402

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
