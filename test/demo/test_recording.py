"""The shipped recording: it opens, its messages belong together, its ground truth is sound."""

from pathlib import Path

import numpy as np
import pytest

cv2 = pytest.importorskip('cv2')
rosbag2 = pytest.importorskip('rosbags.rosbag2')
typesys = pytest.importorskip('rosbags.typesys')

RECORDING = Path(__file__).parents[2] / 'demo' / 'recording'
IMAGE = '/camera/image_raw/compressed'
INFO = '/camera/camera_info'
TRUTH = '/ground_truth/detections'
TRUTH_HASH = 'RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968'
FRAMES, WIDTH, HEIGHT = 100, 640, 480

pytestmark = pytest.mark.skipif(not RECORDING.exists(), reason='demo/recording is not there')


@pytest.fixture(scope='module')
def recording():
    """Read the bag with the definitions it carries: topic -> [(log time, message)]."""
    store = typesys.get_typestore(typesys.Stores.ROS2_KILTED)
    messages = {}
    with rosbag2.Reader(RECORDING) as reader:
        for connection in reader.connections:
            if connection.msgtype not in store.types:
                store.register(typesys.get_types_from_msg(connection.msgdef.data,
                                                          connection.msgtype))
        for connection, time_ns, data in reader.messages():
            message = store.deserialize_cdr(data, connection.msgtype)
            messages.setdefault(connection.topic, []).append((time_ns, message))
    assert store.hash_rihs01('vision_msgs/msg/Detection2DArray') == TRUTH_HASH
    return messages


def _stamp_ns(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_it_holds_a_hundred_frames_of_each_topic(recording):
    assert {topic: len(messages) for topic, messages in recording.items()} == {
        IMAGE: FRAMES, INFO: FRAMES, TRUTH: FRAMES}


def test_it_stays_small():
    assert sum(file.stat().st_size for file in RECORDING.iterdir()) < 8_000_000


def test_headers_agree_and_tick_at_ten_hertz(recording):
    stamps = [_stamp_ns(message) for _, message in recording[IMAGE]]
    assert np.all(np.diff(stamps) == 100_000_000)
    for messages in recording.values():
        assert [_stamp_ns(message) for _, message in messages] == stamps
        assert [time_ns for time_ns, _ in messages] == stamps
        assert {message.header.frame_id for _, message in messages} == {'camera_optical_frame'}


def test_images_decode(recording):
    for _, message in recording[IMAGE]:
        assert 'jpeg' in message.format
        assert cv2.imdecode(message.data, cv2.IMREAD_COLOR).shape == (HEIGHT, WIDTH, 3)


def test_camera_info_is_that_of_the_images(recording):
    for _, info in recording[INFO]:
        assert (info.width, info.height) == (WIDTH, HEIGHT)
        # Pixel centres count from 0, so the middle of 640 pixels is at 319.5.
        assert (info.k[2], info.k[5]) == (319.5, 239.5)
        assert info.k[0] == info.k[4] == info.p[0] == info.p[5] > 0


def test_ground_truth_boxes_lie_in_the_image(recording):
    labels = set()
    for _, truth in recording[TRUTH]:
        for detection in truth.detections:
            assert detection.header == truth.header
            assert 1 <= int(detection.id) <= 15  # the course's fifteen objects
            (best,) = detection.results
            assert best.hypothesis.score == 1.0
            labels.add(best.hypothesis.class_id)
            centre, box = detection.bbox.center.position, detection.bbox
            assert box.size_x > 4 and box.size_y >= 12
            assert 0 <= centre.x - box.size_x / 2 and centre.x + box.size_x / 2 <= WIDTH
            assert 0 <= centre.y - box.size_y / 2 and centre.y + box.size_y / 2 <= HEIGHT
    assert labels == {'cone', 'cube'}


def test_most_frames_show_something_and_a_few_nothing(recording):
    counts = np.array([len(truth.detections) for _, truth in recording[TRUTH]])
    assert 1 <= np.sum(counts == 0) <= 15
    assert counts.max() <= 8


def test_the_mcap_library_reads_it():
    reader_module = pytest.importorskip('mcap.reader')
    (path,) = RECORDING.glob('*.mcap')
    with open(path, 'rb') as stream:
        summary = reader_module.make_reader(stream).get_summary()
    assert summary.statistics.message_count == 3 * FRAMES
    assert {channel.topic for channel in summary.channels.values()} == {IMAGE, INFO, TRUTH}
