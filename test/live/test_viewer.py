"""The viewer pairs frames, answers and truth by stamp, and ends when it should."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

rclpy = pytest.importorskip('rclpy')
for module in ('vision_msgs', 'rosbags', 'av'):
    pytest.importorskip(module)
import recordings  # noqa: E402
from builtin_interfaces.msg import Time  # noqa: E402
from rcl_interfaces.msg import Parameter, ParameterValue  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from rclpy.serialization import deserialize_message  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from vision_msgs.msg import (  # noqa: E402
    Detection2D,
    Detection2DArray,
    ObjectHypothesisWithPose,
)

from ssd_perception.bags.reader import Bag  # noqa: E402
from ssd_perception.imaging.encodings import to_rgb  # noqa: E402
from ssd_perception.live import viewer  # noqa: E402
from ssd_perception.live.view import _rows  # noqa: E402
from ssd_perception.ros.messages import image_message  # noqa: E402

FRAMES = 6


def view(*words):
    return subprocess.Popen([sys.executable, '-m', 'ssd_perception', 'view', *words], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def detection(x, width, score, name='cone'):
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = name, score
    found = Detection2D(results=[result])
    found.bbox.center.position.x, found.bbox.size_x = x, width
    return found


@pytest.fixture
def rover(tmp_path):
    """A camera and a perfect detector in one node: its answers are the ground truth."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('rover', context=context)

    class Rover:
        def __init__(self, compressed, reliability):
            qos = QoSProfile(depth=10, reliability=reliability)
            kind = CompressedImage if compressed else Image
            self.image = node.create_publisher(kind, 'camera', qos)
            self.answers = node.create_publisher(Detection2DArray, 'detections', 10)
            self.truth = node.create_publisher(Detection2DArray, 'ground_truth/detections', 10)
            self.compressed = compressed

        def wait_for_viewer(self):
            end = time.monotonic() + 20
            while not self.image.get_subscription_count() and time.monotonic() < end:
                time.sleep(0.02)

        def ask_what_rclpy_cannot_read(self):
            client = node.create_client(SetParameters, '/ssd_viewer/set_parameters')
            assert client.wait_for_service(20)
            client.call_async(SetParameters.Request(parameters=[
                Parameter(name='x', value=ParameterValue(type=77))]))

        def stop(self):
            for publisher in (self.image, self.answers, self.truth):
                node.destroy_publisher(publisher)

        def drive(self, skip=(), extra=()):
            self.wait_for_viewer()
            time.sleep(1.0)  # the viewer must have matched these publishers, too
            # Small pictures: this is about pairing, and no DDS setting is needed for them.
            path = recordings.write_recording(tmp_path / 'drive', FRAMES, size=(160, 120))
            with Bag(path) as bag:
                for index, record in enumerate(bag.records()):
                    frame = index // 2
                    if record.topic == recordings.IMAGE:
                        message = deserialize_message(record.cdr, CompressedImage)
                        self.image.publish(message if self.compressed else image_message(
                            message.header, to_rgb(message)))
                    else:
                        message = deserialize_message(record.cdr, Detection2DArray)
                        self.truth.publish(message)
                        if frame not in skip:
                            message.detections += extra
                            self.answers.publish(message)
                    time.sleep(0.02)

    yield Rover
    # Or the next test's viewer would take this one's type and QoS for those of its own.
    node.destroy_node()
    context.try_shutdown()


def test_pairs_and_measures(rover, tmp_path):
    process = view('--image', 'camera', '--out', str(tmp_path / 'out'), '--idle', '1',
                   '--reference-ap50', '1')
    # What is no detection costs itself alone: no class, no number, a negative size.
    camera = rover(False, ReliabilityPolicy.RELIABLE)
    camera.ask_what_rclpy_cannot_read()
    camera.drive(skip={2}, extra=[
        Detection2D(), detection(float('nan'), 5.0, 0.9), detection(5.0, -1.0, 0.9),
        detection(5.0, 5.0, float('inf')), detection(5.0, 5.0, 0.9, 'x' * 101),
        detection(1e300, 5.0, 0.9)])
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['frames'] == FRAMES and summary['answered'] == FRAMES - 1
    assert summary['detections_per_class'] == {'cone': FRAMES - 1}
    assert summary['ap50'] == 1.0 and summary['ap50_frames'] == FRAMES - 1
    assert len(list((tmp_path / 'out' / 'frames').iterdir())) == FRAMES


@pytest.mark.parametrize('before, after', [
    ((False, ReliabilityPolicy.RELIABLE), (True, ReliabilityPolicy.RELIABLE)),
    ((False, ReliabilityPolicy.RELIABLE), (False, ReliabilityPolicy.BEST_EFFORT))])
def test_cameras_of_all_kinds_are_seen_after_one_another(rover, tmp_path, before, after):
    process = view('--image', 'camera', '--out', str(tmp_path / 'out'), '--idle', '1')
    first = rover(*before)
    first.wait_for_viewer()
    first.stop()
    rover(*after).drive()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['answered'] == FRAMES and summary['ap50'] == 1.0
    assert len(list((tmp_path / 'out' / 'frames').iterdir())) == FRAMES


def test_ctrl_c_ends_watching_and_keeps_what_was_seen(rover, tmp_path):
    process = view('--image', 'camera', '--out', str(tmp_path / 'out'))
    rover(True, ReliabilityPolicy.RELIABLE).drive()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0 and 'Traceback' not in err
    assert (tmp_path / 'out' / 'summary.html').is_file()


def test_stamps_without_end_are_kept_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(viewer, 'MAX_STAMPS', 3)
    monkeypatch.setattr(viewer, 'MEDIAN_OF', 2)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = viewer.Viewer(context=context)
    monkeypatch.setattr(viewer, 'MAX_CLASSES', 2)
    for second in range(6):
        node._receive_answer(Detection2DArray(
            header=Header(stamp=Time(sec=second)),
            detections=[detection(8.0, 4.0, 0.9, f'{second}')]))
    assert node.live.answered == 6 and list(node.frames) == [0, 10 ** 9, 2 * 10 ** 9]
    assert not node._ages and node.live.age_ms is None  # stamps of 1970, as of a recording
    assert ('age', 'not known, the stamps are of another clock') in _rows(node.live)
    # Neither do messages, images that wait and images that are kept fill the memory.
    names = node.class_names()
    assert names == ['0', '1']
    found = [node.detections(frame, names) for frame in node.frames.values()]
    assert [len(each) for each in found] == [1, 1, 0] and found[1].labels.tolist() == [1]
    assert found[0].xyxy.nbytes == 16
    monkeypatch.setattr(viewer, 'MAX_WAITING_BYTES', 10)
    monkeypatch.setattr(viewer, 'MAX_IMAGE_BYTES', 15)
    for second, size, kept in ((0, 11, False), (1, 9, True), (2, 9, True), (0, 9, False)):
        node._receive_image(CompressedImage(header=Header(stamp=Time(sec=second)), format='jpeg',
                                            data=bytes(size)))
        end = time.monotonic() + 5
        while node._bytes_received > node._bytes_encoded and time.monotonic() < end:
            time.sleep(0.001)
        assert (node.frames[second * 10 ** 9].jpeg is not None) == kept
    node.frames.clear()
    now = node.get_clock().now().to_msg()
    for nanosec in range(3):
        node._receive_answer(Detection2DArray(header=Header(stamp=Time(sec=now.sec - 1,
                                                                       nanosec=nanosec))))
    assert len(node._ages) == 2 and 1000 < node.live.median_age_ms < 60_000
    node.create_publisher(CompressedImage, 'front/compressed', 1)  # other images than it waits for
    node.create_subscription(Image, 'image', print, 1)  # a detector that waits, too
    node._find_images()
    assert node.live.waiting == ('a publisher on /image (--image chooses another topic: '
                                 '/front/compressed)')
    assert [name for name, _ in _rows(node.live)][:2] == ['waiting for', 'frames seen']
    node.close()
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_nothing_to_see_is_one_sentence(tmp_path):
    process = view('--image', 'nowhere', '--wait', '0.5', '--out', str(tmp_path / 'out'))
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert 'ssd_perception view: no frame was seen.\n' in err and 'Traceback' not in err
    assert 'waiting for a publisher on /nowhere' in out
    assert not (tmp_path / 'out').exists()


def test_out_that_is_something_else_is_refused_at_once(tmp_path):
    (tmp_path / 'thesis.tex').touch()
    process = view('--out', str(tmp_path))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1 and 'no earlier result' in err
