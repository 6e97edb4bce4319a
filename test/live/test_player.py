"""A played recording arrives in another process: every frame, in time, with its stamps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('rosbags')
import recordings  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from vision_msgs.msg import Detection2DArray  # noqa: E402

from ssd_perception.bags.reader import Bag  # noqa: E402
from ssd_perception.bags.writer import BagWriter  # noqa: E402
from ssd_perception.live.player import (  # noqa: E402
    PlayerOptions,
    allow_large_images,
    message_class,
)
from ssd_perception.ros.dds import PROFILE_VARIABLES  # noqa: E402

FRAMES = 20
# As the detector subscribes: whatever this loses, the detector would lose.
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def play(recording, *words):
    """Start the real player in its own process, which chooses its own DDS settings."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(('FASTDDS_', 'FASTRTPS_'))}
    return subprocess.Popen([sys.executable, '-m', 'ssd_perception', 'play', str(recording),
                             *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=env)


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    return recordings.write_recording(tmp_path_factory.mktemp('bags') / 'drive', frames=FRAMES)


@pytest.fixture
def listener():
    """A node that keeps what it receives, with the time of arrival."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('listener', context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)

    class Listener:
        def __init__(self):
            self.received = {}

        def listen(self, kind, topic, qos=BEST_EFFORT):
            self.received[topic] = []
            node.create_subscription(
                kind, topic, lambda m: self.received[topic].append((time.time(), m)), qos)

        def until_ended(self, process, timeout_s=30):
            end = time.monotonic() + timeout_s
            while process.poll() is None and time.monotonic() < end:
                executor.spin_once(timeout_sec=0.02)
            for _ in range(20):
                executor.spin_once(timeout_sec=0.01)
            if process.poll() is None:
                process.kill()
                pytest.fail('the player did not end')
            return process.communicate()

        def until_received(self, topic, count, timeout_s=20):
            end = time.monotonic() + timeout_s
            while len(self.received[topic]) < count and time.monotonic() < end:
                executor.spin_once(timeout_sec=0.02)
            assert len(self.received[topic]) >= count

    yield Listener()
    executor.shutdown()
    node.destroy_node()  # or the next test's player would count this one's subscriptions
    context.try_shutdown()


def stamp_ns(message):
    return message.header.stamp.sec * 10 ** 9 + message.header.stamp.nanosec


RAW = '/camera/image_raw'


def test_every_raw_frame_arrives_in_time_with_a_fresh_stamp(recording, listener, tmp_path):
    listener.listen(Image, RAW)
    listener.listen(Detection2DArray, recordings.TRUTH, QoSProfile(depth=10))
    report, drive = tmp_path / 'sent.json', tmp_path / 'drive'
    with Bag(recording) as source, BagWriter(drive) as bag:
        for connection in source.connections.values():
            bag.copy_topic(connection)
        for number, record in enumerate(source.records()):
            bag.write_cdr(record.topic, record.stamp_ns, record.cdr)
            if number in (9, 12):  # no message, and no image: each costs itself
                bag.write_cdr(record.topic, record.stamp_ns, record.cdr[:-number])
    process = play(drive, '--raw', '--stamp', 'now', '--report', str(report))
    out, err = listener.until_ended(process)
    assert process.returncode == 0, err
    assert f'Sent {FRAMES} frames' in out and ' 2 could not be read.' in out
    assert 'is left out' in err and 'Traceback' not in err
    frames = listener.received[RAW]
    truths = listener.received[recordings.TRUTH]
    assert len(frames) == FRAMES and len(truths) == FRAMES
    # The frame and its ground truth still belong together.
    assert [stamp_ns(m) for _, m in frames] == [stamp_ns(m) for _, m in truths]
    ages_ms = [(at - stamp_ns(m) / 1e9) * 1e3 for at, m in frames]
    assert 0 <= np.median(ages_ms) < 100
    assert frames[-1][0] - frames[0][0] == pytest.approx(0.1 * (FRAMES - 1), abs=0.3)
    sent = json.loads(report.read_text())
    assert sent['frames'] == FRAMES and sent['messages'][RAW] == FRAMES
    first = frames[0][1]
    assert (first.encoding, first.width, first.height) == ('rgb8', 640, 480)
    assert first.header.frame_id == 'camera_optical'
    pixels = np.frombuffer(first.data, np.uint8).reshape(480, 640, 3)
    assert pixels[250, 150, 0] > 230 and pixels[250, 150, 2] < 30


def test_as_is_keeps_bytes_and_stamps(recording, listener):
    listener.listen(CompressedImage, recordings.IMAGE)
    process = play(recording, '--rate', '2', '--topics', recordings.IMAGE)
    listener.until_ended(process)
    assert process.returncode == 0
    arrivals = listener.received[recordings.IMAGE]
    assert [stamp_ns(m) for _, m in arrivals] == [
        recordings.START_NS + i * recordings.PERIOD_NS for i in range(FRAMES)]
    assert arrivals[-1][0] - arrivals[0][0] == pytest.approx(0.05 * (FRAMES - 1), abs=0.3)


def test_clock_follows_the_recording(recording, listener):
    from rosgraph_msgs.msg import Clock
    listener.listen(Clock, '/clock', QoSProfile(depth=10))
    listener.listen(CompressedImage, recordings.IMAGE)  # what the player waits for
    process = play(recording, '--clock', '--rate', '4')
    listener.until_ended(process)
    times = [m.clock.sec * 10 ** 9 + m.clock.nanosec for _, m in listener.received['/clock']]
    assert len(times) > 10
    assert times == sorted(times)
    assert recordings.START_NS <= times[0]
    assert times[-1] <= recordings.START_NS + FRAMES * recordings.PERIOD_NS


def test_stamps_of_now_are_fresh_in_every_round_of_a_loop(recording, listener):
    listener.listen(CompressedImage, recordings.IMAGE)
    process = play(recording, '--loop', '--rate', '5', '--stamp', 'now')
    listener.until_received(recordings.IMAGE, 4 * FRAMES)
    process.send_signal(signal.SIGINT)
    listener.until_ended(process)
    stamps = [stamp_ns(m) for _, m in listener.received[recordings.IMAGE]]
    assert len(set(stamps)) == len(stamps) and stamps == sorted(stamps)
    assert stamps[-1] - stamps[0] > 2 * FRAMES * recordings.PERIOD_NS / 5


@pytest.mark.parametrize('sent', [signal.SIGINT, signal.SIGTERM])
def test_a_loop_ends_cleanly_on_a_signal(recording, listener, sent):
    listener.listen(CompressedImage, recordings.IMAGE)
    process = play(recording, '--loop', '--rate', '50')
    listener.until_received(recordings.IMAGE, 2 * FRAMES)
    process.send_signal(sent)
    _, err = listener.until_ended(process)
    assert process.returncode == 130
    assert 'Traceback' not in err


def test_what_most_robots_record_is_played(listener, tmp_path):
    """Types not installed here, latched topics, and a clock that jumps from 1970 to now."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    from ssd_perception.bags.types import typestore
    from ssd_perception.bags.writer import BagWriter
    with BagWriter(tmp_path / 'drive') as bag:
        bag.add_topic('/robot_description', 'std_msgs/msg/String', latched=True)
        bag.write('/robot_description', 10 ** 9,
                  recordings.types('std_msgs/msg/String')('<robot/>'))
        bag.write('/mode', recordings.START_NS, recordings.types('std_msgs/msg/String')('drive'))
    with Writer(tmp_path / 'other', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind in (('/wheels', 'my_robot_msgs/msg/Wheels'), ('/x', '..os/msg/Path'),
                            ('/a b\x1b[31m', 'std_msgs/msg/String'),
                            ('/{a}', 'std_msgs/msg/String'), ('mode', 'std_msgs/msg/String')):
            connection = writer.add_connection(topic, kind, msgdef='float64 left\n',
                                               rihs01='RIHS01_' + '0' * 64)
            writer.write(connection, recordings.START_NS, bytes(12))
        text = writer.add_connection('/text', 'std_msgs/msg/String', typestore=typestore())
        writer.write(text, recordings.START_NS, bytes(typestore().serialize_cdr(
            recordings.types('std_msgs/msg/String')('x'), 'std_msgs/msg/String')))
    process = play(tmp_path / 'other', '--wait-for-subscribers', '0')
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0 and 'Sent 0 frames and 2 messages' in out, out
    assert '/wheels is left out: The recording has messages of type my_robot_msgs/msg/W' in error
    assert '/x is left out' in error and '/a b\\x1b[31m is left out' in error
    assert '/{a} is left out' in error and 'mode is' not in error  # /mode is what it is played on
    from std_msgs.msg import String
    late = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    listener.listen(String, '/robot_description', late)
    listener.listen(String, '/mode', QoSProfile(depth=10))
    process = play(tmp_path / 'drive', '--wait-for-subscribers', '1')
    _, error = listener.until_ended(process)
    assert process.returncode == 0 and 'jumps by 53.9 years' in error
    assert [m.data for _, m in listener.received['/robot_description']] == ['<robot/>']
    assert [m.data for _, m in listener.received['/mode']] == ['drive']


def test_nobody_listens_is_one_sentence(recording):
    process = play(recording, '--raw', '--wait-timeout', '0.5')
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f'{RAW} has 0 of 1 subscribers after 0.5 s' in err and len(err.splitlines()) == 1


@pytest.mark.parametrize('words, says', [
    (['--topics', '/rear'], 'no topic /rear'),
    (['--rate', '0'], 'rate must be'),
    (['--clock', '--stamp', 'now'], 'give only one'),
])
def test_wrong_arguments_are_one_sentence(recording, words, says):
    process = play(recording, *words)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert says in err and len(err.splitlines()) == 1


def test_uninstalled_message_type_is_named():
    with pytest.raises(ValueError, match='acme_msgs/msg/Thing'):
        message_class('acme_msgs/msg/Thing', '/thing')


def test_a_setting_of_the_user_is_left_alone(monkeypatch):
    for name in ('FASTDDS_BUILTIN_TRANSPORTS', *PROFILE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('FASTDDS_BUILTIN_TRANSPORTS', 'UDPv4')
    allow_large_images()
    assert not {*PROFILE_VARIABLES} & {*os.environ}


@pytest.mark.parametrize('library, variable', [
    ('libfastrtps.so.2.14', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
    ('libfastdds.so.3.2', 'FASTDDS_DEFAULT_PROFILES_FILE'),
    ('libc.so', 'FASTDDS_DEFAULT_PROFILES_FILE')])
def test_large_images_pass_in_either_fast_dds(monkeypatch, tmp_path, library, variable):
    (tmp_path / library).touch()
    monkeypatch.setenv('LD_LIBRARY_PATH', f'/nowhere::{tmp_path}')
    # Emptied, not deleted, so that monkeypatch also undoes what the function sets.
    for name in ('FASTDDS_BUILTIN_TRANSPORTS', *PROFILE_VARIABLES):
        monkeypatch.setenv(name, '')
    allow_large_images()
    other, = {*PROFILE_VARIABLES} - {variable}
    assert Path(os.environ[variable]).name == 'fastdds_large_images.xml'
    assert not os.environ[other], 'Fast DDS 3 would warn of it'
    monkeypatch.setenv(variable, '')
    monkeypatch.setattr('ssd_perception.live.player.large_images_profile', lambda: Path('none'))
    allow_large_images()
    assert os.environ['FASTDDS_BUILTIN_TRANSPORTS'] == 'LARGE_DATA'


def test_rates_out_of_range_are_refused():
    with pytest.raises(ValueError, match='rate'):
        PlayerOptions(rate=1000)


def test_playing_quietly_needs_no_tqdm():
    program = """
import sys
sys.modules['tqdm'] = None
from ssd_perception.live.play import PlayOptions, _bar
with _bar(PlayOptions(bag=None, progress=False), 3) as (count, begin):
    count(), count(2), begin(['/image'])
"""
    subprocess.run([sys.executable, '-c', program], check=True)
