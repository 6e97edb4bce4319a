"""Recordings made to hurt: each is read as far as it makes sense, in bounded time and memory."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import subprocess
import sys
import time

import pytest
import yaml
import zstandard
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from recordings import IMAGE, START_NS, TRUTH, write_recording

from ssd_perception.bags import mcap_salvage, unpacking
from ssd_perception.bags.reader import Bag, BagError, RecoveringBag
from ssd_perception.bags.unpacking import MAX_CHUNK_BYTES, MAX_MESSAGE_BYTES

FRAMES = 3
READ = """
import json, resource, sys
from ssd_perception.bags.reader import BagError, RecoveringBag
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
try:
    with RecoveringBag(sys.argv[1]) as bag:
        count = sum(1 for record in bag.records())
        print(json.dumps([count, bag.losses()]))
except BagError as error:
    print(json.dumps([0, [str(error)]]))
print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))
"""


def read(path):
    """Read a recording; return the number of messages, and what is wrong in one text."""
    try:
        with RecoveringBag(path) as bag:
            count = sum(1 for _ in bag.records())
            return count, ' '.join(bag.losses())
    except BagError as error:
        assert '\n' not in str(error)
        return 0, str(error)


def read_bounded(path, megabytes):
    """Do as ``read`` in a process that ends early where it takes too much."""
    done = subprocess.run([sys.executable, '-c', READ, path], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    result, peak = done.stdout.splitlines()
    assert int(peak) < (150 + megabytes) * 1024
    count, losses = json.loads(result)
    return count, ' '.join(losses)


@pytest.fixture
def database(tmp_path):
    """A recording of sqlite3; open it to change it."""
    return write_recording(tmp_path / 'drive', FRAMES, 'sqlite3') / 'drive.db3'


def change(database, *statements):
    with sqlite3.connect(database) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return database


def mcap_file(path, data, compression=CompressionType.NONE, records=b'', times=(START_NS,)):
    """Write messages of ``data`` by mcap's own writer, with ``records`` before them."""
    with open(path, 'wb') as stream:
        writer = McapWriter(stream, compression=compression)
        writer.start('ros2', 'test')
        stream.write(records)
        schema = writer.register_schema('std_msgs/msg/String', 'ros2msg', b'string data')
        channel = writer.register_channel('/text', 'cdr', schema)
        for time_ns in times:
            writer.add_message(channel, time_ns, data, time_ns)
        writer.finish()
    return path


def test_a_name_that_leads_elsewhere_opens_nothing_there(tmp_path, database):
    os.renames(database, tmp_path / 'elsewhere' / 'secret.db3')
    folder = tmp_path / 'drive'
    folder.mkdir(exist_ok=True)
    name = '..%2felsewhere%2fsecret.db3'
    (folder / name).write_bytes(b'')
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(
        {'rosbag2_bagfile_information': {'relative_file_paths': [name, '../elsewhere/secret.db3'],
                                         'storage_identifier': 'sqlite3', 'version': 9}}))
    assert read(folder)[0] == 0
    with pytest.raises(BagError):
        Bag(folder)


@pytest.mark.parametrize('name', ['100% sure?.db3', 'a#b.db3', '%41.db3'])
def test_a_name_of_odd_characters_is_read_whole(database, name):
    path = database.with_name(name)
    database.rename(path)
    (path.parent / 'A.db3').touch()
    assert read(path) == (2 * FRAMES, '')


def test_links_out_and_pipes_are_left_out(tmp_path, database):
    folder = tmp_path / 'links'
    folder.mkdir()
    (folder / 'a.db3').symlink_to(database)
    os.mkfifo(folder / 'b.mcap')
    (folder / 'c.mcap').symlink_to('/dev/zero')
    count, losses = read(folder)
    assert count == 0 and 'a.db3 is a link' in losses and 'b.mcap is no regular file' in losses
    (folder / 'd.db3').write_bytes(database.read_bytes())
    assert read(folder)[0] == 2 * FRAMES


def test_a_git_lfs_pointer_is_named(tmp_path):
    path = tmp_path / '\x1b[31mdrive.mcap'
    path.write_text('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n')
    said = read(path)[1]
    assert 'pointer of Git LFS' in said and said.isprintable()


def test_a_message_that_unpacks_to_gigabytes(database):
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(MAX_MESSAGE_BYTES + 1))
    with sqlite3.connect(database) as connection:
        connection.execute('UPDATE messages SET data = ? WHERE id = 1', (bomb,))
    assert len(bomb) < 50_000
    count, losses = read_bounded(database, 100)
    assert count == 2 * FRAMES - 1 and '1 compressed messages could not be unpacked' in losses


@pytest.mark.parametrize('compression', [CompressionType.ZSTD, CompressionType.LZ4])
def test_a_chunk_that_unpacks_to_gigabytes(tmp_path, compression):
    size = MAX_CHUNK_BYTES + (1 << 20)
    if compression == CompressionType.ZSTD:
        packed = zstandard.ZstdCompressor(level=1).compress(bytes(size))
    else:
        import lz4.frame
        packed = lz4.frame.compress(bytes(size))
    name = compression.name.lower().encode()
    content = (struct.pack('<QQQII', 0, 0, 99, 0, len(name)) + name
               + struct.pack('<Q', len(packed)) + packed)
    path = mcap_file(tmp_path / 'drive.mcap', b'text', records=struct.pack(
        '<BQ', 6, len(content)) + content)
    with path.open('r+b') as file:  # without its index, so that the chunk is come across
        file.truncate(path.stat().st_size - 100)
    count, losses = read_bounded(path, 3 * MAX_CHUNK_BYTES >> 20)
    assert count == 1 and 'has a chunk that unpacks to more than 268.4 MB' in losses


def test_a_file_that_unpacks_to_gigabytes(tmp_path):
    stream = zstandard.ZstdCompressor(level=1).compressobj()
    packed = b''.join(stream.compress(bytes(1 << 24)) for _ in range(20)) + stream.flush()
    (tmp_path / 'drive.mcap.zstd').write_bytes(packed)
    count, losses = read_bounded(tmp_path / 'drive.mcap.zstd', 100)
    assert count == 0 and 'unpacks to more than 1000 times its size' in losses


ENDLESS = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT '


@pytest.mark.parametrize('table, columns', [
    ('messages', 'i AS id, 1 AS topic_id, i AS timestamp, zeroblob(9) AS data FROM n'),
    ('topics', "i AS id, 'a' AS name, 'b' AS type, 'cdr' AS serialization_format, "
     "'' AS offered_qos_profiles, '' AS type_description_hash FROM n")])
def test_a_view_without_end(database, table, columns):
    change(database, f'DROP TABLE {table}', f'CREATE VIEW {table} AS {ENDLESS}{columns}')
    start = time.process_time()
    count, losses = read(database)
    assert count == 0 and f'has no table called {table}' in losses
    assert time.process_time() - start < 10


def test_a_computed_column(database):
    change(database, 'DROP TABLE messages',
           'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, '
           'data BLOB AS (zeroblob(900000000)))', 'INSERT INTO messages VALUES (1, 1, 1)')
    assert 'computed columns' in read_bounded(database, 100)[1]


def test_pages_that_lead_in_a_circle_come_to_an_end(database):
    """Let every entry of the table's root page lead to its first child: rows without end."""
    database.unlink()
    with sqlite3.connect(database) as connection:
        connection.execute('CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT)')
        connection.execute("INSERT INTO topics VALUES (1, '/a', 'std_msgs/msg/String')")
        connection.execute('CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, '
                           'timestamp INTEGER, data BLOB)')
        connection.executemany('INSERT INTO messages VALUES (?, 1, ?, zeroblob(9))',
                               [(i, i) for i in range(20_000)])
        root, = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    connection.close()
    data = bytearray(database.read_bytes())
    page = (root - 1) * 4096
    cells, = struct.unpack_from('>H', data, page + 3)
    for cell in range(cells):
        place, = struct.unpack_from('>H', data, page + 12 + 2 * cell)
        struct.pack_into('>I', data, page + place, root)  # the page itself
    struct.pack_into('>I', data, page + 8, root)
    database.write_bytes(data)
    start = time.process_time()
    count, losses = read(database)
    assert losses and count <= len(data)
    assert time.process_time() - start < 20


@pytest.mark.parametrize('statement', [
    'UPDATE messages SET data = 8000000000 WHERE id = 1',  # bytes(8000000000) would be zeros
    "UPDATE messages SET data = 'text' WHERE id = 1",
    "UPDATE messages SET timestamp = 'noon' WHERE id = 1",
    'UPDATE messages SET timestamp = 1.5 WHERE id = 1',
    'UPDATE messages SET timestamp = -5 WHERE id = 1',
    "UPDATE messages SET topic_id = 'x' WHERE id = 1",
])
def test_one_message_of_wrong_types_costs_one_message(database, statement):
    count, losses = read(change(database, statement))
    assert count == 2 * FRAMES - 1
    assert 'malformed' in losses or 'impossible time' in losses or 'lost' in losses


@pytest.mark.parametrize('statement', [
    "UPDATE topics SET name = x'ff' WHERE name LIKE '/ground%'",
    "UPDATE topics SET type = 5 WHERE name LIKE '/ground%'",
    "UPDATE topics SET offered_qos_profiles = x'00ff' WHERE name LIKE '/ground%'",
    "UPDATE topics SET type_description_hash = 7 WHERE name LIKE '/ground%'",
    'UPDATE message_definitions SET encoded_message_definition = 7',
    "UPDATE topics SET name = CAST(x'2fff' AS TEXT) WHERE name LIKE '/ground%'",
])
def test_a_topic_of_wrong_types_costs_that_topic(database, statement):
    count, _ = read(change(database, statement))
    assert count in (FRAMES, 2 * FRAMES)
    with RecoveringBag(database) as bag:
        assert bag.counts[IMAGE] == FRAMES and all(isinstance(t, str) for t in bag.topics)


def test_a_row_of_2_to_the_63_bytes_is_damage(database):
    head, mark, rest = database.read_bytes().partition(b'tablemessage_definitions')
    database.write_bytes(head[:-9] + b'\xff' * 18 + (mark + rest)[9:])  # lengths before the row
    assert 'a row of an impossible size' in read(database)[1]


@pytest.mark.parametrize('kind, content', [
    (3, b'\x01'), (4, b'\x01\x00\x00'), (4, b'\x09\x00\x00\x00\x02\x00\x00\x00\xff\xfe'),
    (3, b'\x02\x00\xff\xff\xff\x7f'), (6, bytes(28) + b'\x02\x00\x00\x00\xff\xfe' + bytes(8)),
    (6, bytes(32) + b'\xff' * 8),  # a chunk of 2**64 - 1 bytes
    (4, b'\x01\x00\x00\x00\x02\x00\x00\x00/a\x03\x00\x00\x00cdr\xff\xff\xff\xff'), (5, b'\x01')])
def test_a_malformed_mcap_record_costs_that_record(tmp_path, kind, content):
    path = mcap_file(tmp_path / 'drive.mcap', b'text',
                     records=struct.pack('<BQ', kind, len(content)) + content)
    with path.open('r+b') as file:
        file.truncate(path.stat().st_size - 100)  # without its index all records are read
    count, losses = read(path)
    assert count == 1 and (kind == 5 or 'malformed' in losses)


def test_a_record_larger_than_any(tmp_path):
    path = mcap_file(tmp_path / 'drive.mcap', b'text',
                     records=struct.pack('<BQ', 5, 6_000_000_000))
    with path.open('r+b') as file:
        file.truncate(7_000_000_000)  # sparse
    count, losses = read_bounded(path, 100)
    assert count == 0 and 'has a record of 6000000000 bytes' in losses


META = 'rosbag2_bagfile_information'
ALIASES = 'a0: &a0 [x, x]\n' + ''.join(
    f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 12))


@pytest.mark.parametrize('text', [
    '', '5', '[]', f'{META}: 5', f'{META}: []', f'{META}: {{relative_file_paths: 5}}',
    f'{META}: {{relative_file_paths: [5, [], ".", "..", "/", null], files: 7}}',
    f'{META}: {{files: [5, {{path: 1, message_count: x}}], topics_with_message_count: 4}}',
    f'{META}: {{topics_with_message_count: [3, {{topic_metadata: 3, message_count: -1}}, '
    f'{{topic_metadata: {{name: [1]}}, message_count: true}}]}}',
    f'{META}: {{topics_with_message_count: [{{topic_metadata: {{name: {IMAGE}}}, '
    f'message_count: {10 ** 40}}}]}}',
    ALIASES + f'{META}: {{relative_file_paths: *a11}}', '[' * 20_000, '\x00', 'a: *a',
    f'{META}: &a {{files: [*a]}}',
], ids=range(15))
def test_odd_metadata_costs_no_message(database, text):
    (database.parent / 'metadata.yaml').write_text(text)
    assert read(database.parent)[0] == 2 * FRAMES


@pytest.mark.parametrize('make', [os.mkfifo, lambda p: p.symlink_to('/dev/zero'), os.mkdir,
                                  lambda p: p.symlink_to(p)])
def test_metadata_that_are_no_file_cost_no_message(database, make):
    (database.parent / 'metadata.yaml').unlink()
    make(database.parent / 'metadata.yaml')
    assert read(database.parent) == (2 * FRAMES, 'metadata.yaml is damaged.')


@pytest.mark.parametrize('stamp', [2 ** 64 - 1, 2 ** 63, 0])
def test_an_extreme_time_of_recording_costs_one_message(tmp_path, stamp):
    count, losses = read(mcap_file(tmp_path / 'drive.mcap', b'text',
                                   times=(START_NS, stamp, START_NS + 1)))
    assert count == 3 if stamp == 0 else count == 2 and losses


@pytest.mark.parametrize('at, value', [(0, 2 ** 63 - 1), (8, 0), (16, 2 ** 62), (16, 8)])
def test_an_index_that_lies_costs_no_message(tmp_path, at, value):
    path = write_recording(tmp_path / 'drive', FRAMES, 'mcap') / 'drive.mcap'
    whole, losses = read(path)
    assert whole == 2 * FRAMES and not losses
    data = bytearray(path.read_bytes())
    place = struct.unpack_from('<Q', data, len(data) - 28)[0]  # the summary
    while data[place] != 8:  # ChunkIndex: first and last time, offset, length
        place += 9 + struct.unpack_from('<Q', data, place + 1)[0]
    struct.pack_into('<Q', data, place + 9 + at, value)
    path.write_bytes(data)
    count, losses = read(path)
    assert count == whole and 'drive.mcap is damaged' in losses


def test_what_is_there_is_named_where_nothing_can_be_used(tmp_path):
    path = tmp_path / 'drive.mcap'
    with path.open('wb') as stream:
        writer = McapWriter(stream)
        writer.start('', 'test')
        for topic, kind, encoding, of_schema in (
                ('/camera', 'sensor_msgs/Image', 'ros1', 'ros1msg'),
                ('/other', 'foxglove.CompressedImage', 'json', 'jsonschema')):
            schema = writer.register_schema(kind, of_schema, b'{}')
            channel = writer.register_channel(topic, encoding, schema)
            writer.add_message(channel, START_NS, b'{}', START_NS)
        writer.finish()
    with RecoveringBag(path) as bag:
        assert bag.topics == {'/camera': 'sensor_msgs/Image (ros1)',
                              '/other': 'foxglove.CompressedImage (json)'}
        with pytest.raises(BagError, match='/camera .sensor_msgs/Image .ros1'):
            bag.require([TRUTH])


def test_profiles_of_quality_longer_than_any_cost_no_minutes(database, monkeypatch):
    monkeypatch.setattr('rosbags.rosbag2.metadata.YAML', None)  # ruamel's, which takes seconds
    long = '- history: 1\n' * 300_000
    with sqlite3.connect(database) as connection:
        connection.execute('UPDATE topics SET offered_qos_profiles = ?', (long,))
    assert read(database) == (2 * FRAMES, '')


def test_a_journal_that_would_fill_the_disk_is_not_copied(database):
    with open(f'{database}-journal', 'wb') as file:
        file.truncate(20_000_000_000)  # sparse
    count, losses = read_bounded(database, 100)
    assert count == 2 * FRAMES and 'is too large and is not used' in losses


def packed_chunk(size, stated=None):
    packed = zstandard.ZstdCompressor(level=1).compress(bytes(size))
    content = (struct.pack('<QQQII', 0, 0, size if stated is None else stated, 0, 4) + b'zstd'
               + struct.pack('<Q', len(packed)) + packed)
    return struct.pack('<BQ', 6, len(content)) + content


@pytest.mark.parametrize('stated', [None, 1])
def test_many_chunks_share_one_limit(tmp_path, monkeypatch, stated):
    monkeypatch.setattr(unpacking, 'MAX_TOTAL_BYTES', 1 << 22)
    monkeypatch.setattr(unpacking, 'MAX_FILE_RATIO', 1)
    monkeypatch.setattr(unpacking, 'MAX_CHUNK_BYTES', 1 << 20)
    read_bytes = []
    monkeypatch.setattr(mcap_salvage, 'unpack_as_far', lambda *args: read_bytes.append(
        unpacked := unpacking.unpack_as_far(*args)) or unpacked)
    path = mcap_file(tmp_path / 'drive.mcap', b'text',
                     records=packed_chunk(1 << 20, stated) * 20)
    with path.open('r+b') as file:
        file.truncate(path.stat().st_size - 100)
    count, losses = read(path)
    assert count == 1 and 'a chunk' in losses
    assert sum(map(len, read_bytes)) <= 2 * ((1 << 22) + (1 << 20))  # it is read twice


def test_many_messages_share_one_limit(database, monkeypatch):
    monkeypatch.setattr(unpacking, 'MAX_TOTAL_BYTES', 1 << 20)
    monkeypatch.setattr(unpacking, 'MAX_FILE_RATIO', 0)
    monkeypatch.setattr(unpacking, 'MAX_CHUNK_BYTES', 1 << 19)
    packed = zstandard.ZstdCompressor(level=1).compress(bytes(400_000))
    with sqlite3.connect(database) as connection:
        connection.execute('UPDATE messages SET data = ?', (packed,))
    count, losses = read(database)
    assert count == 2 and f'{2 * FRAMES - 2} compressed messages' in losses


def test_a_chunk_of_millions_of_records_is_read_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(mcap_salvage, '_MAX_RECORDS', 5)
    path = mcap_file(tmp_path / 'drive.mcap', b'text', times=range(START_NS, START_NS + 20))
    with path.open('r+b') as file:
        file.truncate(path.stat().st_size - 100)
    count, losses = read(path)
    assert count == 3 and 'more than the 5 records' in losses
