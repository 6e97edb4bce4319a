"""Odd clocks, names and formats in a recording cost what is odd, and are named."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mcap.writer import Writer as McapWriter

for module in ('av', 'matplotlib', 'rosbags', 'tqdm'):
    pytest.importorskip(module)
import recordings  # noqa: E402
from odd_jpegs import odd_jpegs  # noqa: E402
from orange_detector import OrangeDetector  # noqa: E402
from replaying import FRAMES, messages, replay, replay_in_chunks  # noqa: E402

from ssd_perception.__main__ import main  # noqa: E402
from ssd_perception.bags.frames import image_topic  # noqa: E402
from ssd_perception.bags.reader import Bag, BagError  # noqa: E402
from ssd_perception.bags.writer import BagWriter  # noqa: E402
from ssd_perception.core.errors import UserError  # noqa: E402
from ssd_perception.replay.cameras import find_cameras  # noqa: E402

pytest_plugins = ['replaying']

JPEG = 'sensor_msgs/msg/CompressedImage'
NOW = recordings.START_NS
PERIOD = recordings.PERIOD_NS


def frame(sec=0, nanosec=0, frame_id='camera', data=None, kind='jpeg', index=0):
    stamp = recordings.types('builtin_interfaces/msg/Time')(sec, nanosec)
    header = recordings.types('std_msgs/msg/Header')(stamp=stamp, frame_id=frame_id)
    if data is None:
        data = cv2.imencode('.jpg', recordings.picture(index, (320, 320)))[1].reshape(-1)
    return recordings.types(JPEG)(header=header, format=kind, data=np.frombuffer(data, np.uint8))


def stamped(stamp_ns, **fields):
    return frame(*divmod(stamp_ns, 10 ** 9), **fields)


def write(path, frames, topic=recordings.IMAGE):
    """Write (time of recording, message) pairs."""
    with BagWriter(path) as bag:
        bag.add_topic(topic, JPEG)
        for recorded_ns, message in frames:
            bag.write(topic, recorded_ns, message)
    return path


def summary_of(out):
    return json.loads((out / 'summary.json').read_text())


def test_times_of_recording_serve_where_all_stamps_are_zero(detectors, tmp_path, capsys):
    drive = write(tmp_path / 'drive', [(NOW + i * PERIOD, frame(index=i)) for i in range(10)])
    assert replay(drive, tmp_path / 'out') == 0
    assert 'All 10 images on /camera/image_raw/compressed have the stamp 0 s' \
        in capsys.readouterr().out
    assert summary_of(tmp_path / 'out')['seconds'] == 0.9
    import av
    with av.open(str(tmp_path / 'out' / 'video.webm')) as video:
        assert [f.pts for f in video.decode(video=0)] == [100 * i for i in range(10)]
    # The header of a result stays that of its image.
    assert {m.header.stamp.sec for m in messages(tmp_path / 'out', '/detections')} == {0}
    assert main(['bag_to_voc', str(drive), '--out', str(tmp_path / 'mined'), '--count', '10']) == 0
    names = {path.stem for path in (tmp_path / 'mined' / 'JPEGImages').iterdir()}
    assert names == {str(NOW + i * PERIOD) for i in range(10)}


@pytest.mark.parametrize('first', [0, 5 * 10 ** 9])
def test_a_clock_that_jumps_from_1970_to_now(detectors, tmp_path, capsys, first):
    stamps = [first + i * PERIOD for i in range(4)] + [NOW + i * PERIOD for i in range(4)]
    drive = write(tmp_path / 'drive', [(s, stamped(s)) for s in stamps])
    assert replay(drive, tmp_path / 'out') == 0
    assert 'jumps by 53.9 years before frame 4' in capsys.readouterr().out
    assert summary_of(tmp_path / 'out')['seconds'] == 0.6
    assert summary_of(tmp_path / 'out')['frames'] == 8
    assert 'jumps by 53.9 years' in (tmp_path / 'out' / 'report.html').read_text()


def test_cameras_with_different_clocks_have_one_timeline(detectors, tmp_path, capsys):
    with BagWriter(tmp_path / 'drive') as bag:
        for i in range(4):
            for topic, offset in (('/front/image', 0), ('/rear/image', NOW)):
                bag.write(topic, NOW + i * PERIOD, stamped(offset + i * PERIOD))
    assert replay(tmp_path / 'drive', tmp_path / 'out') == 0
    assert summary_of(tmp_path / 'out')['seconds'] == 0.3


@pytest.mark.parametrize('bad, reason', [
    (frame(2 ** 31 - 1, 2 ** 32 - 1), 'impossible'),
    (frame(-2 ** 31, 0), 'impossible'),
    (frame(frame_id='x' * 300), 'frame_id of 300 characters'),
    (frame(data=b'\x00\x00\x00\x01\x67', kind='h264'), 'h264'),
    (frame(data=b'\x00' * 12 + b'\x89PNG\r\n\x1a\n', kind='16UC1; compressedDepth png'),
     'compressedDepth'),
    (frame(data=b''), 'nothing'),
], ids=range(6))
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_one_bad_image_costs_itself(detectors, tmp_path, capsys, bad, reason, storage):
    drive = write(tmp_path / 'drive', [(NOW, bad)] + [
        (NOW + i * PERIOD, stamped(NOW + i * PERIOD)) for i in range(1, 4)])
    assert replay(drive, tmp_path / 'out', '--storage', storage, '--originals') == 0
    assert '1 images could not be decoded' in capsys.readouterr().out
    assert len(messages(tmp_path / 'out', '/detections')) == 3
    first = json.loads((tmp_path / 'out' / 'detections.jsonl').read_text().splitlines()[0])
    assert reason in first['error'] and first['detections'] == []


def test_a_recording_that_counts_images_and_has_none(detectors, tmp_path, capsys):
    path = tmp_path / 'drive.mcap'
    with path.open('wb') as stream:
        writer = McapWriter(stream)
        writer.start('ros2', 'test')
        schema = writer.register_schema(JPEG, 'ros2msg', b'')
        channel = writer.register_channel('/camera', 'cdr', schema)
        counts = writer._Writer__statistics
        counts.message_count = counts.channel_message_counts[channel] = 5
        writer.finish()
    assert replay(path, tmp_path / 'out') == 1
    assert 'None of the 5 images' in capsys.readouterr().err
    assert main(['bag_to_voc', str(path), '--out', str(tmp_path / 'mined')]) == 1
    assert [each.name for each in tmp_path.iterdir()] == ['drive.mcap']


def sized(side):
    return cv2.imencode('.jpg', recordings.picture(0, (side, side)))[1].reshape(-1)


def test_an_image_that_breaks_the_detector_costs_itself(detectors, tmp_path, capsys, monkeypatch):
    detect = OrangeDetector.detect

    def fragile(self, images, settings=None):
        if any(image.shape[0] == 160 for image in images):
            raise RuntimeError('no kernel\nfor this')
        return detect(self, images, settings)
    monkeypatch.setattr(OrangeDetector, 'detect', fragile)
    drive = write(tmp_path / 'drive', [(NOW + i * PERIOD, stamped(
        NOW + i * PERIOD, data=sized(160 if i == 1 else 320))) for i in range(4)])
    assert replay(drive, tmp_path / 'out', '--batch', '4') == 0
    assert '1 images could not be decoded or answered' in capsys.readouterr().out
    rows = [json.loads(line) for line in (
        tmp_path / 'out' / 'detections.jsonl').read_text().splitlines()]
    assert rows[1]['error'] == 'The detector failed: RuntimeError: no kernel for this'
    assert all(rows[i]['detections'] for i in (0, 2, 3)) and not rows[1]['detections']
    for count, expected in ((19, 'None of the 19 images'), (20, 'none of 20 images in a row')):
        bad = write(tmp_path / f'bad{count}', [
            (NOW + i * PERIOD, stamped(NOW + i * PERIOD, data=sized(160))) for i in range(count)])
        for _ in range(2):
            assert replay(bad, tmp_path / f'none{count}') == 1
            assert expected in capsys.readouterr().err


def test_images_that_a_lost_device_did_not_answer_are_tried_again(detectors, recording, tmp_path,
                                                                   monkeypatch):
    detect = OrangeDetector.detect

    def lost(self, images, settings=None):
        if self.calls >= 5:
            raise RuntimeError('device lost')
        return detect(self, images, settings)
    with monkeypatch.context() as patch:
        patch.setattr(OrangeDetector, 'detect', lost)
        with pytest.raises(UserError, match='none of 20 images in a row'):
            replay_in_chunks(recording, tmp_path / 'out', '--workers', '1')
    replay_in_chunks(recording, tmp_path / 'out', '--workers', '1')
    rows = (tmp_path / 'out' / 'detections.jsonl').read_text().splitlines()
    assert len(rows) == FRAMES and not [row for row in rows if 'failed' in row]


def test_odd_jpegs_are_answered_and_a_texture_costs_itself(detectors, tmp_path, capsys):
    blobs = [*odd_jpegs(recordings.picture(0, (320, 320))).values(), b'DDS |\0\0\0' + bytes(200)]
    drive = write(tmp_path / 'drive', [
        (NOW + i * PERIOD, stamped(NOW + i * PERIOD, data=np.frombuffer(blob, np.uint8)))
        for i, blob in enumerate(blobs)])
    assert replay(drive, tmp_path / 'out') == 0
    assert '1 images could not be decoded' in capsys.readouterr().out
    rows = [json.loads(line) for line in (
        tmp_path / 'out' / 'detections.jsonl').read_text().splitlines()]
    assert 'must be JPEG or PNG, but begins with 44 44 53' in rows[-1]['error']
    assert len(rows) == len(blobs) and all(row['detections'] for row in rows[:-1])


@pytest.mark.parametrize('kind, reason', [('h264', 'video'), ('16UC1; compressedDepth', 'depth')])
@pytest.mark.parametrize('verb', ['replay', 'bag_to_voc'])
def test_where_no_image_can_be_used_the_command_fails(detectors, tmp_path, capsys, kind, reason,
                                                     verb):
    drive = write(tmp_path / 'drive', [
        (NOW + i, stamped(NOW + i, data=bytes(20), kind=kind)) for i in range(3)])
    assert main([verb, str(drive), '--out', str(tmp_path / 'out')]) == 1
    error = capsys.readouterr().err
    assert ('None of the 3 images' if reason == 'video' else 'holds depth') in error
    assert kind in error and error.count('\n') == 1
    assert [p.name for p in tmp_path.iterdir()] == ['drive']


def test_topics_whose_names_become_one_keep_their_results_apart(detectors, tmp_path):
    with BagWriter(tmp_path / 'drive') as bag:
        for topic in ('/a_b/image', '/a/b/image'):
            for i in range(2):
                bag.write(topic, NOW + i * PERIOD, stamped(NOW + i * PERIOD))
    assert replay(tmp_path / 'drive', tmp_path / 'out') == 0
    assert sorted(p.name for p in (tmp_path / 'out').glob('*.webm')) == [
        'video_a_b.webm', 'video_a_b_2.webm']
    with Bag(tmp_path / 'out' / 'bag') as bag:
        assert bag.counts['/a_b/detections'] == bag.counts['/a/b/detections'] == 2


def raw_image(encoding, size):
    return recordings.types('sensor_msgs/msg/Image')(
        header=recordings.header(0), height=4, width=4, encoding=encoding, is_bigendian=0,
        step=4 * size, data=np.zeros(16 * size, np.uint8))


@pytest.mark.parametrize('topic, message, taken', [
    ('/depth_camera/image_raw', raw_image('rgb8', 3), True),
    ('/depth_camera/color/image_raw/compressed', stamped(NOW), True),
    ('/camera/DepthAI/left', raw_image('mono8', 1), True),
    ('/camera/left/image', raw_image('mono16', 2), True),
    ('/camera/image_raw', raw_image('16UC1', 2), False),
    ('/aligned/image_raw', raw_image('32FC1', 4), False),
    ('/camera/image/compressed', frame(kind='16UC1; png compressed '), False),
    ('/camera/image_raw/compressedDepth', frame(kind='16UC1; compressedDepth'), False),
    ('/camera/compressedDepth', frame(kind='bgr8; jpeg compressed bgr8'), True)])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_the_encoding_says_what_is_depth_whatever_the_topic_is_called(
        tmp_path, topic, message, taken, storage):
    with BagWriter(tmp_path / 'drive', storage) as bag:
        bag.write('/other/image', NOW, stamped(NOW))
        bag.write(topic, NOW, message)
    with Bag(tmp_path / 'drive') as bag:
        found = [camera.topic for camera in find_cameras(bag)]
        assert (topic in found) is taken and '/other/image' in found
        if not taken:
            assert image_topic(bag) == '/other/image'


def test_a_recording_of_depth_alone_is_named(tmp_path):
    with BagWriter(tmp_path / 'drive') as bag:
        bag.write('/camera/image_raw', NOW, raw_image('16UC1', 2))
    with Bag(tmp_path / 'drive') as bag:
        with pytest.raises(BagError, match='/camera/image_raw holds depth ."16UC1".; record'):
            find_cameras(bag)
        assert find_cameras(bag, ['/camera/image_raw'])


def test_hundreds_of_cameras_are_refused_unless_they_are_chosen(tmp_path):
    """Two thousand, of 32 MB, filled a gigabyte with their videos."""
    with BagWriter(tmp_path / 'drive') as bag:
        for number in range(201):
            bag.write(f'/c{number}/image', NOW, stamped(NOW))
    with Bag(tmp_path / 'drive') as bag:
        with pytest.raises(BagError, match='201 topics of images, more than the 200.*--topics'):
            find_cameras(bag)
        assert len(find_cameras(bag, ['/c0/image', '/c200/image'])) == 2


def test_text_in_a_topic_runs_nowhere(detectors, tmp_path, capsys):
    name = '/"><script>alert(1)</script>\x1b[31m/image'
    with BagWriter(tmp_path / 'drive') as bag:
        for topic in (name, '/../../x/image', '/' + 'y' * 300 + '/image'):
            bag.write(topic, NOW, stamped(NOW))
    assert replay(tmp_path / 'drive', tmp_path / 'out') == 0
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert '<script>alert' not in page
    assert '\x1b' not in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ['drive', 'out']


def test_a_recording_of_video_packets_says_what_to_record(tmp_path, capsys):
    from rosbags.rosbag2 import StoragePlugin, Writer
    kind = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
    with Writer(tmp_path / 'drive', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/camera/ffmpeg', kind, msgdef='uint8[] data\n',
                                           rihs01='RIHS01_' + '0' * 64)
        writer.write(connection, NOW, bytes(12))
    assert replay(tmp_path / 'drive', tmp_path / 'out') == 1
    error = capsys.readouterr().err
    assert f'/camera/ffmpeg ({kind})' in error and 'image_transport republish' in error


def test_malformed_ground_truth_costs_itself(detectors, tmp_path):
    with BagWriter(tmp_path / 'drive') as bag:
        for i in range(4):
            stamp_ns = NOW + i * PERIOD
            bag.write(recordings.IMAGE, stamp_ns, stamped(stamp_ns, index=i))
            truth = recordings.truth(i)
            if i == 1:
                truth.detections[0].results.clear()
            if i == 2:
                truth.detections[0].bbox.size_x = float('nan')
            bag.write(recordings.TRUTH, stamp_ns, truth)
    assert replay(tmp_path / 'drive', tmp_path / 'out', '--ground-truth', recordings.TRUTH) == 0
    accuracy = summary_of(tmp_path / 'out')['ground_truth']
    assert accuracy['images'] == 2 and '2 unreadable' in accuracy['source']


def test_links_in_the_work_folder_are_not_followed(detectors, recording, tmp_path, capsys):
    precious = tmp_path / 'precious'
    precious.write_text('precious')
    work = tmp_path / '.out.replay'
    work.mkdir()
    (work / 'identity.json.partial').symlink_to(precious)
    (work / '000000.partial').symlink_to(tmp_path)
    assert replay(recording, tmp_path / 'out', '--fresh') == 0
    assert precious.read_text() == 'precious'
    work.mkdir()
    (work / 'lock').symlink_to(precious)
    os.rename(work, tmp_path / '.again.replay')
    assert replay(recording, tmp_path / 'again') == 1
    assert 'lock cannot be opened' in capsys.readouterr().err
    assert precious.read_text() == 'precious'


@pytest.mark.parametrize('limit', [3_000, 30_000])
def test_a_full_disk_is_named_with_its_folder(recording, tmp_path, limit):
    """A limit on the size of files fails as a full disk does, wherever it is met."""
    program = ('import sys, pytest; sys.path.insert(0, sys.argv[1])\n'
               'from orange_detector import replace_network\n'
               'from ssd_perception.__main__ import main\n'
               'with pytest.MonkeyPatch.context() as patch:\n'
               '    replace_network(patch)\n'
               '    sys.exit(main(["replay", *sys.argv[2:]]))')
    done = subprocess.run(
        [sys.executable, '-c', program, Path(__file__).parents[1], recording, '--out',
         tmp_path / 'out'], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 1, done.stderr
    assert 'could not be written (File too large): the disk, or a limit, allows' in done.stderr
    assert str(tmp_path) in done.stderr and 'Errno' not in done.stderr
    assert done.stderr.count('\n') == 1 and not (tmp_path / 'out').exists()
