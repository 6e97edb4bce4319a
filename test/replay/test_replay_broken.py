"""Recordings of every kind, cut anywhere: replayed with a sentence on what is lost, or refused."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

for module in ('av', 'matplotlib', 'rosbags', 'tqdm', 'zstandard'):
    pytest.importorskip(module)
import recordings  # noqa: E402
from orange_detector import OrangeDetector  # noqa: E402
from replaying import messages, replay  # noqa: E402
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer  # noqa: E402

from ssd_perception.bags.reader import Bag  # noqa: E402
from ssd_perception.bags.types import typestore  # noqa: E402
from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.inference.detector import DetectionResult, Timings  # noqa: E402

pytest_plugins = ['replaying']

DEMO = Path(__file__).parents[2] / 'demo' / 'recording'
FRAMES = 24
FOREIGN = 'my_robot_msgs/msg/Wheels'
WHEELS = 'float64 left\nfloat64 right\n'


@pytest.fixture
def blind(detectors, monkeypatch):
    """Let the detectors find nothing in pictures without an orange square."""
    monkeypatch.setattr(OrangeDetector, 'detect', lambda self, images, settings:
                        DetectionResult([Detections.empty() for _ in images], Timings()))


def written_by_rosbags(folder, mode=None, storage=StoragePlugin.MCAP, first=0, foreign=False):
    """Write FRAMES pictures, from number ``first`` on, without our own writer."""
    writer = Writer(folder, version=9, storage_plugin=storage)
    if mode:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        kind = 'sensor_msgs/msg/CompressedImage'
        image = writer.add_connection(recordings.IMAGE, kind, typestore=typestore())
        if foreign:
            wheels = writer.add_connection('/wheels', FOREIGN, msgdef=WHEELS,
                                           rihs01='RIHS01_' + '0' * 64)
        import cv2
        for index in range(first, first + FRAMES):
            stamp_ns = recordings.START_NS + index * recordings.PERIOD_NS
            jpeg = cv2.imencode('.jpg', recordings.picture(index, (320, 320)))[1].reshape(-1)
            message = recordings.types(kind)(header=recordings.header(index), format='jpeg',
                                             data=jpeg)
            writer.write(image, stamp_ns, bytes(typestore().serialize_cdr(message, kind)))
            if foreign:
                writer.write(wheels, stamp_ns, b'\x00\x01\x00\x00' + bytes(16))
    return folder


def split(folder):
    """Write two files into one recording without metadata, as a killed recorder leaves them."""
    for part in (0, 1):
        one = written_by_rosbags(folder.with_name(f'drive_{part}'), first=part * FRAMES)
        folder.mkdir(exist_ok=True)
        shutil.move(one / f'drive_{part}.mcap', folder)
        shutil.rmtree(one)
    return folder


KINDS = {
    'shipped': lambda folder: shutil.copytree(DEMO, folder),
    'mcap': written_by_rosbags,
    'sqlite3': lambda folder: written_by_rosbags(folder, storage=StoragePlugin.SQLITE3),
    'compressed file': lambda folder: written_by_rosbags(folder, CompressionMode.FILE),
    'compressed messages': lambda folder: written_by_rosbags(folder, CompressionMode.MESSAGE),
    'compressed chunks': lambda folder: written_by_rosbags(folder, CompressionMode.STORAGE),
    'compressed file of sqlite3': lambda folder: written_by_rosbags(
        folder, CompressionMode.FILE, StoragePlugin.SQLITE3),
    'split': split,
    'foreign type': lambda folder: written_by_rosbags(folder, foreign=True),
}


def storage_files(folder):
    return sorted(f for f in folder.iterdir() if f.suffix != '.yaml')


@pytest.fixture(scope='module', params=KINDS)
def whole(request, tmp_path_factory):
    if request.param == 'shipped' and not DEMO.is_dir():
        pytest.skip('no data')
    return KINDS[request.param](tmp_path_factory.mktemp('bags') / 'drive')


def outcome(folder, out, capsys):
    """Replay; return the frames read, 0 where it was refused, and what was printed."""
    code = replay(folder, out, '--no-pictures', '--workers', '1')
    printed = capsys.readouterr()
    if code == 0:
        summary = json.loads((out / 'summary.json').read_text())
        assert len(messages(out, '/detections')) == summary['frames'] > 0
        return summary['frames'], printed.out
    assert code == 1 and printed.err.count('\n') == 1 and 'Traceback' not in printed.err
    assert folder.name in printed.err and not out.exists()
    return 0, printed.err


def test_whole_it_is_read_whole(blind, whole, tmp_path, capsys):
    frames, _ = outcome(whole, tmp_path / 'out', capsys)
    with Bag(DEMO) as demo:
        shipped = demo.counts.get(recordings.IMAGE, 0)
    assert frames in (FRAMES, 2 * FRAMES, shipped)


@pytest.mark.parametrize('metadata', [True, False])
@pytest.mark.parametrize('seed', range(5))
def test_cut_anywhere(blind, whole, tmp_path, capsys, seed, metadata):
    folder = shutil.copytree(whole, tmp_path / 'drive')
    dice = random.Random(f'{seed} {metadata}')
    file = dice.choice(storage_files(folder))
    size = file.stat().st_size
    cut = dice.randrange(size)
    with file.open('r+b') as stream:
        stream.truncate(cut)
    if not metadata:
        (folder / 'metadata.yaml').unlink(missing_ok=True)
    frames, said = outcome(folder, tmp_path / 'out', capsys)
    if frames:
        assert file.name.removesuffix('.zstd') in said or 'lost' in said
    else:  # nothing whole may lie before the first block of a compression, or SQLite's first leaf
        assert cut < 0.5 * size
    assert file.stat().st_size == cut  # the recording is left as it was


@pytest.mark.parametrize('metadata', [True, False])
def test_an_empty_file(blind, whole, tmp_path, capsys, metadata):
    folder = shutil.copytree(whole, tmp_path / 'drive')
    files = storage_files(folder)
    files[-1].write_bytes(b'')
    if not metadata:
        (folder / 'metadata.yaml').unlink(missing_ok=True)
    frames, _ = outcome(folder, tmp_path / 'out', capsys)
    assert bool(frames) == (len(files) > 1)


def test_a_foreign_type_is_copied_by_its_definition(blind, tmp_path, capsys):
    folder = written_by_rosbags(tmp_path / 'drive', foreign=True)
    assert replay(folder, tmp_path / 'out', '--originals', '--no-pictures') == 0
    with Bag(tmp_path / 'out' / 'bag') as bag:
        assert bag.topics['/wheels'] == FOREIGN and bag.counts['/wheels'] == FRAMES
    assert replay(folder, tmp_path / 'none', '--topics', '/wheels') == 1
    assert 'no images' in capsys.readouterr().err
