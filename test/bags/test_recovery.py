"""A broken recording is read as far as it goes, and names what is lost; never a traceback."""

from __future__ import annotations

import io
import random
import shutil
import sqlite3
import subprocess
import sys

import numpy as np
import pytest
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from recordings import IMAGE, PERIOD_NS, START_NS, TRUTH, header, truth, types, write_recording
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from ssd_perception.bags.reader import Bag, BagError, RecoveringBag
from ssd_perception.bags.types import typestore

FRAMES = 30
STORAGES = {'mcap': 'drive.mcap', 'sqlite3': 'drive.db3'}


@pytest.fixture(scope='module', params=STORAGES)
def whole(request, tmp_path_factory):
    path = tmp_path_factory.mktemp('bags') / 'drive'
    return write_recording(path, frames=FRAMES, storage=request.param)


def content(path):
    with Bag(path) as bag:
        return [(r.topic, r.stamp_ns, r.cdr) for r in bag.records()]


def recovered(path):
    with RecoveringBag(path) as bag:
        return [(r.topic, r.stamp_ns, r.cdr) for r in bag.records()], bag.losses()


def storage_file(folder):
    return next(f for f in folder.iterdir() if f.suffix in ('.mcap', '.db3'))


def test_a_whole_recording_has_no_losses(whole):
    assert recovered(whole) == (content(whole), [])
    with RecoveringBag(whole) as bag, Bag(whole) as strict:
        assert (bag.topics, bag.counts) == (strict.topics, strict.counts)
        assert (bag.start_ns, bag.duration_ns // 1000) == (
            strict.start_ns, strict.duration_ns // 1000)
        assert bag.connections[TRUTH].digest in (
            '', typestore().hash_rihs01('vision_msgs/msg/Detection2DArray'))
        with pytest.raises(BagError, match='no topic /rear'):
            bag.records(['/rear'])


def test_without_metadata_everything_is_there(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / 'drive')
    (folder / 'metadata.yaml').unlink()
    assert recovered(folder) == (content(whole), ['metadata.yaml is missing.'])
    (folder / 'metadata.yaml').write_text('rosbag2_bagfile_information: [')
    assert recovered(folder) == (content(whole), ['metadata.yaml is damaged.'])


@pytest.mark.parametrize('seed', range(10))
def test_cut_anywhere_it_is_recovered_or_refused(whole, tmp_path, seed):
    folder = shutil.copytree(whole, tmp_path / 'drive')
    file = storage_file(folder)
    size = file.stat().st_size
    cut = random.Random(seed).randrange(size)
    with file.open('r+b') as stream:
        stream.truncate(cut)
    expected = content(whole)
    try:
        messages, losses = recovered(folder)
    except BagError as error:
        assert 'no message that can be read' in str(error) and '\n' not in str(error)
        assert cut < 0.1 * size
        return
    assert all(message in expected for message in messages)
    assert len(set(messages)) == len(messages)
    # What was cut off is what is missing: all before it is there, but the last message or two.
    assert len(messages) >= len(expected) * cut / size - 4
    assert losses and all('\n' not in loss for loss in losses)
    lost = len(expected) - len(messages)
    assert not lost or f'Of {len(expected)} messages {lost} are lost.' in losses


def mcap_of(messages, **options):
    """Return the bytes of a file by mcap's own writer, where its data ends, and its content."""
    stream, name = io.BytesIO(), 'sensor_msgs/msg/CompressedImage'
    writer = McapWriter(stream, **options)
    writer.start('ros2', 'test')
    definition, _ = typestore().generate_msgdef(name)
    schema = writer.register_schema(name, 'ros2msg', definition.encode())
    channel = writer.register_channel(IMAGE, 'cdr', schema)
    sent, noise = [], np.random.default_rng(1)
    for index in range(messages):
        message = types(name)(header=header(index), format='jpeg',
                              data=noise.integers(0, 256, 20_000, np.uint8))
        sent.append((IMAGE, START_NS + index * PERIOD_NS,
                     bytes(typestore().serialize_cdr(message, name))))
        writer.add_message(channel, sent[-1][1], sent[-1][2], sent[-1][1])
    data_end = stream.tell()
    writer.finish()
    return stream.getvalue(), data_end, sent


@pytest.mark.parametrize('compression', CompressionType)
@pytest.mark.parametrize('chunked', [True, False])
def test_mcap_of_a_killed_recorder(tmp_path, compression, chunked):
    """Cut everywhere from its first message on."""
    data, data_end, sent = mcap_of(20, chunk_size=250_000, compression=compression,
                                   use_chunking=chunked)
    file = tmp_path / 'drive.mcap'
    counts = []
    for cut in [*range(200, data_end, 9973), len(data)]:
        file.write_bytes(data[:cut])
        try:
            messages, losses = recovered(file)
        except BagError:
            messages, losses = [], ['refused']
        assert messages == sent[:len(messages)]
        assert losses or len(messages) == len(sent)
        counts.append(len(messages))
    assert counts == sorted(counts) and counts[-1] == len(sent)
    # A torn chunk gives what is in it: there are only two.
    assert len(set(counts)) > 4


@pytest.mark.parametrize('compression', CompressionType)
def test_damage_inside_costs_one_chunk(tmp_path, compression):
    data, data_end, sent = mcap_of(20, chunk_size=100_000, compression=compression)
    file = tmp_path / 'drive.mcap'
    middle = data_end // 2
    file.write_bytes(data[:middle] + b'damaged' + data[middle + 7:])
    with pytest.raises(BagError):
        content(file)
    messages, losses = recovered(file)
    # A chunk here holds five.
    assert [m for m in sent if m in messages] == messages and 15 <= len(messages) < 20
    assert messages[:5] == sent[:5] and messages[-5:] == sent[-5:]
    assert 'drive.mcap has a damaged chunk' in losses[0]
    assert losses[1] == f'Of 20 messages {20 - len(messages)} are lost.'


def test_zeros_of_a_power_failure(tmp_path):
    folder = write_recording(tmp_path / 'drive', frames=FRAMES)
    expected = content(folder)
    file = folder / 'drive.mcap'
    data = file.read_bytes()
    half = len(data) // 2
    file.write_bytes(data[:half] + bytes(len(data) - half))
    messages, losses = recovered(folder)
    assert 0 < len(messages) < len(expected) and losses
    assert set(messages[:-2]) <= set(expected)


KILLED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute('PRAGMA journal_mode=WAL')
database.execute('PRAGMA wal_autocheckpoint=0')
source = sqlite3.connect(sys.argv[2])
for row in source.execute("SELECT sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%'"):
    database.execute(row[0])
for table in ('topics', 'schema', 'metadata', 'message_definitions', 'messages'):
    for row in source.execute(f'SELECT * FROM {table}'):
        database.execute(f'INSERT INTO {table} VALUES ({",".join("?" * len(row))})', row)
os._exit(0)  # as a kill does it: nothing is closed
"""


@pytest.mark.parametrize('torn', [0, 5000])
def test_messages_in_a_write_ahead_log(tmp_path, torn):
    whole = write_recording(tmp_path / 'drive', frames=FRAMES, storage='sqlite3')
    folder = tmp_path / 'killed'
    folder.mkdir()
    subprocess.run([sys.executable, '-c', KILLED, folder / 'killed_0.db3', whole / 'drive.db3'],
                   check=True)
    log = folder / 'killed_0.db3-wal'
    with log.open('r+b') as stream:
        stream.truncate(log.stat().st_size - torn)
    before = {f.name: f.read_bytes() for f in folder.iterdir()}
    messages, losses = recovered(folder)
    expected = content(whole)
    assert messages == expected[:len(messages)]
    assert len(messages) == len(expected) if not torn else 0 < len(messages) < len(expected)
    assert 'killed_0.db3 was not closed by its recorder.' in losses
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == before  # left as it was


def test_a_torn_journal_is_rolled_back(tmp_path):
    folder = write_recording(tmp_path / 'drive', frames=FRAMES, storage='sqlite3')
    expected = content(folder)
    child = ("import os, sqlite3, sys; d = sqlite3.connect(sys.argv[1]);"
             "d.execute('PRAGMA cache_size=2'); d.execute('PRAGMA cache_spill=1');"
             "d.execute('UPDATE messages SET timestamp = 0, data = zeroblob(20000)');"
             'os._exit(0)')
    subprocess.run([sys.executable, '-c', child, folder / 'drive.db3'], check=True)
    assert (folder / 'drive.db3-journal').stat().st_size > 0
    messages, losses = recovered(folder)
    assert messages == expected and losses == ['drive.db3 was not closed by its recorder.']


def split(folder, storage=StoragePlugin.MCAP, parts=3, each=4):
    """Write a recording in several files, as ros2 bag record --max-bag-size does."""
    import yaml
    folder.mkdir()
    names, counts = [], []
    for part in range(parts):
        one = folder / f'drive_{part}'
        with Writer(one, version=9, storage_plugin=storage) as writer:
            connection = writer.add_connection(
                TRUTH, 'vision_msgs/msg/Detection2DArray', typestore=typestore())
            for index in range(each):
                number = part * each + index
                writer.write(connection, START_NS + number * PERIOD_NS, bytes(
                    typestore().serialize_cdr(truth(number), connection.msgtype)))
        metadata = yaml.safe_load((one / 'metadata.yaml').read_text())
        file = storage_file(one)
        file.rename(folder / file.name)
        names.append(file.name)
        counts.append({'path': file.name, 'message_count': each})
        shutil.rmtree(one)
    information = metadata['rosbag2_bagfile_information']
    information.update(relative_file_paths=names, files=counts, message_count=parts * each)
    information['topics_with_message_count'][0]['message_count'] = parts * each
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    return folder


@pytest.mark.parametrize('storage', StoragePlugin)
def test_split_recording_with_a_missing_file(tmp_path, storage):
    folder = split(tmp_path / 'drive', storage, parts=11)
    expected = content(folder)
    assert recovered(folder) == (expected, [])
    second = next(folder.glob('drive_1.*'))
    second.unlink()
    messages, losses = recovered(folder)
    assert messages == expected[:4] + expected[8:]
    assert losses == [f'{second.name} is missing, with 4 messages.',
                      'Of 44 messages 4 are lost.']
    (folder / 'metadata.yaml').unlink()
    assert recovered(folder)[0] == messages  # drive_10 still comes behind drive_9


@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE,
                                  CompressionMode.STORAGE])
@pytest.mark.parametrize('metadata', [True, False])
def test_compressed_by_rosbag2(tmp_path, mode, metadata):
    folder = tmp_path / 'drive'
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(
            TRUTH, 'vision_msgs/msg/Detection2DArray', typestore=typestore())
        for index in range(5):
            writer.write(connection, START_NS + index, bytes(
                typestore().serialize_cdr(truth(index), connection.msgtype)))
    expected = content(folder)
    assert len(expected) == 5
    if not metadata:
        (folder / 'metadata.yaml').unlink()
    messages, losses = recovered(folder)
    assert messages == expected
    assert losses == ([] if metadata else ['metadata.yaml is missing.'])


def test_torn_file_compression(tmp_path):
    folder = write_recording(tmp_path / 'drive', frames=FRAMES)
    import zstandard
    packed = zstandard.compress((folder / 'drive.mcap').read_bytes())
    file = tmp_path / 'drive_0.mcap.zstd'
    file.write_bytes(packed[:len(packed) // 2])
    messages, losses = recovered(file)
    assert 0 < len(messages) < 2 * FRAMES and losses


@pytest.mark.parametrize('make', [
    lambda path: (path / 'drive.mcap').write_bytes(b'rubbish' * 99),
    lambda path: (path / 'drive.mcap').touch(),
    lambda path: (path / 'drive.db3').write_bytes(b'rubbish' * 99),
    lambda path: (path / 'drive.db3').touch(),
    lambda path: (path / 'drive.mcap.zstd').write_bytes(b'rubbish' * 99),
    lambda path: (path / 'metadata.yaml').write_text('rosbag2_bagfile_information: {}'),
    lambda path: sqlite3.connect(path / 'drive.db3').execute('CREATE TABLE other(x)'),
])
def test_nothing_at_all_is_one_sentence(tmp_path, make):
    make(tmp_path)
    with pytest.raises(BagError) as caught:
        RecoveringBag(tmp_path)
    assert '\n' not in str(caught.value) and str(tmp_path) in str(caught.value)
