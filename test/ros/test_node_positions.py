"""Tracks, positions and detections on demand through the real node, with a recorded drive."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('vision_msgs')
rosbag2 = pytest.importorskip('rosbags.rosbag2')
from builtin_interfaces.msg import Time  # noqa: E402
from geometry_msgs.msg import PoseStamped  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from std_srvs.srv import SetBool, Trigger  # noqa: E402
from vision_msgs.msg import Detection3DArray  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

ROOT = Path(__file__).parents[2]
WEIGHTS, RECORDING = ROOT / 'weights' / 'rover.onnx', ROOT / 'demo' / 'recording'
pytestmark = pytest.mark.skipif(not WEIGHTS.is_file(), reason='no weights')
K = (480.0, 0.0, 319.5, 0.0, 480.0, 239.5, 0.0, 0.0, 1.0)
P = (480.0, 0.0, 319.5, 0.0, 0.0, 480.0, 239.5, 0.0, 0.0, 0.0, 1.0, 0.0)


def recorded(count):
    """Return the first frames' headers and JPEGs."""
    store, frames = get_typestore(Stores.ROS2_HUMBLE), []
    with rosbag2.Reader(RECORDING) as reader:
        wanted = [c for c in reader.connections if c.topic.endswith('/compressed')]
        for connection, _, raw in reader.messages(wanted):
            message = store.deserialize_cdr(raw, connection.msgtype)
            stamp = message.header.stamp
            frames.append((Header(stamp=Time(sec=stamp.sec, nanosec=stamp.nanosec),
                                  frame_id=message.header.frame_id), message.data.tobytes()))
            if len(frames) == count:
                return frames


@pytest.fixture(scope='module')
def node(node_process):
    process = node_process(
        '-p', f'weights:={WEIGHTS}', '-p', 'tracking:=true', '-p', 'positions:=ground',
        '-p', "camera_mount:=['height=0.33', 'pitch=0.192']",
        '-p', "class_heights:=['cone=0.19..0.36', 'cube=0.22..0.30']",
        '-p', 'target_class:=cone', '-r', 'image:=/camera/image_raw')
    process.wait_for('Active on /camera/image_raw')
    return process


def test_ids_and_positions_of_a_drive_belong_together(node, peer):
    boxes = peer.listen_to_detections()
    places = peer.listen(Detection3DArray, '/detections_3d')
    targets = peer.listen(PoseStamped, '/target')
    markers = peer.listen(MarkerArray, '/detections/markers')
    info = peer.publisher(CameraInfo, '/camera/camera_info')
    for header, jpeg in recorded(6):
        info.publish(CameraInfo(header=header, width=640, height=480, k=K, p=P,
                                distortion_model='plumb_bob', d=[0.0] * 5))
        peer.ask(CompressedImage(header=header, format='jpeg', data=jpeg), boxes,
                 '/camera/image_raw/compressed')
    last = boxes[-1]
    ids = {found.id for found in last.detections}
    assert len(ids) == len(last.detections) >= 2 and '' not in ids
    assert ids & {found.id for found in boxes[-2].detections}
    assert peer.until(lambda: places and places[-1].header.stamp == last.header.stamp)
    assert places[-1].header.frame_id == 'base_link'
    assert {found.id for found in places[-1].detections} <= ids
    # The nearest cone stands at (-0.85, 0.75) of the course, the rover is at (-0.5, -1.1).
    assert peer.until(lambda: targets and targets[-1].header.stamp == last.header.stamp)
    assert targets[-1].pose.position.x == pytest.approx(1.7, abs=0.35)
    assert targets[-1].pose.position.y == pytest.approx(0.35, abs=0.2)
    assert peer.until(lambda: any(m.text.startswith('cone 1 ') for array in markers
                                  for m in array.markers))


def test_paused_the_node_answers_one_frame_on_demand(node, peer):
    boxes = peer.listen_to_detections()
    header, jpeg = recorded(1)[0]
    message = CompressedImage(header=header, format='jpeg', data=jpeg)
    topic = '/camera/image_raw/compressed'
    peer.ask(message, boxes, topic)
    peer.call(SetBool, '/ssd_detector/enable', SetBool.Request(data=False))
    boxes.clear()
    client = peer.node.create_client(Trigger, '/ssd_detector/detect')
    assert peer.until(client.service_is_ready)
    answer = client.call_async(Trigger.Request())
    while not answer.done():
        peer.publisher(CompressedImage, topic).publish(message)
        peer.spin(0.1)
    assert answer.result().success and 'cone' in answer.result().message
    assert peer.until(lambda: boxes)
    boxes.clear()
    peer.publisher(CompressedImage, topic).publish(message)
    peer.spin(0.5)
    assert not boxes  # still paused


def test_without_an_image_the_call_ends_by_itself(node, peer):
    answer = peer.call(Trigger, '/ssd_detector/detect', Trigger.Request(), 15.0)
    assert not answer.success and 'within 5 s' in answer.message
