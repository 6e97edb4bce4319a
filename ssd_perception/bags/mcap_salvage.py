"""Read an mcap file that has no end, or damage within: every message that is still whole.

rosbags wants the summary that a recorder writes last. mcap's own stream reader needs none, but
hands out the torn last message as if it were whole; so the records' frames are walked here, and
only what lies in them is parsed by mcap.
"""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Schema

from ssd_perception.bags.connection import Connection, Damage, Raw
from ssd_perception.bags.unpacking import MAX_CHUNK_BYTES, Budget, UnpackError, unpack_as_far

_MAGIC = b'\x89MCAP0\r\n'
_FRAME = struct.Struct('<BQ')  # opcode, length
_MESSAGE = struct.Struct('<HIQQ')  # channel, sequence, log time, publish time
_CHUNK_FIXED = 8 + 8 + 8 + 4 + 4  # times, size, checksum, length of the compression's name
_MAX_RECORDS = 2_000_000  # in a chunk: of the smallest messages, 100 MB
_PARSED = {Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE, Opcode.CHUNK}
# Errors of mcap's parser for a record whose content does not fit its length.
_MALFORMED = (McapError, struct.error, EOFError, UnicodeDecodeError, OverflowError)


class McapSalvage:
    """What is left of an mcap file.

    Attributes:
        connections: topic -> Connection.
        counts: topic -> number of whole messages.
        start_ns, end_ns: when the first and the last of them were recorded; 0 when there is none.
        damage: what is wrong with the file.
    """

    def __init__(self, path: Path):
        self._path = path
        self.connections: dict[str, Connection] = {}
        self.counts: Counter[str] = Counter()
        self.damage = Damage(path.name)
        self.start_ns = self.end_ns = 0
        for raw in self._read(self.damage):
            self.start_ns = min(self.start_ns or raw.stamp_ns, raw.stamp_ns)
            self.end_ns = max(self.end_ns, raw.stamp_ns)
            self.counts[raw.topic] += 1

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """Yield the whole messages of ``topics`` in the order of the file."""
        return (raw for raw in self._read(Damage('')) if raw.topic in topics)

    def close(self) -> None:
        """Nothing stays open."""

    def _read(self, damage: Damage) -> Iterator[Raw]:
        schemas: dict[int, Schema] = {}
        topics: dict[int, str] = {}
        size = self._path.stat().st_size
        budget = Budget(size)
        with self._path.open('rb') as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                damage.note('is no mcap file: it does not begin as one' if size else 'is empty')
                damage.bytes_lost = size
                return
            for opcode, content, whole in _frames(file, size, damage):
                records = [(opcode, content)]
                if opcode == Opcode.CHUNK:
                    records = _by_time(_chunk(content, whole, damage, budget))
                elif not whole:
                    continue
                for kind, data in records:
                    if kind in (Opcode.SCHEMA, Opcode.CHANNEL):
                        try:
                            self._announce(kind, data, schemas, topics)
                        except _MALFORMED:
                            damage.malformed += 1
                    elif kind == Opcode.MESSAGE and len(data) >= _MESSAGE.size:
                        number, _, log_ns, _ = _MESSAGE.unpack_from(data)
                        if number in topics:
                            yield Raw(topics[number], log_ns, data[_MESSAGE.size:])

    def _announce(self, kind: int, data: bytes, schemas: dict[int, Schema],
                  topics: dict[int, str]) -> None:
        stream = ReadDataStream(io.BytesIO(data))
        if kind == Opcode.SCHEMA:
            schema = Schema.read(stream)
            schemas[schema.id] = schema
        else:
            channel = Channel.read(stream)
            topics[channel.id] = channel.topic
            self.connections.setdefault(
                channel.topic, _connection(channel, schemas.get(channel.schema_id)))


def _frames(stream: BinaryIO, end: int, damage: Damage) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (opcode, content, whether it is all there) up to ``end``; note how it stops."""
    while True:
        start = stream.tell()
        head = stream.read(_FRAME.size)
        opcode, length = _FRAME.unpack(head) if len(head) == _FRAME.size else (-1, 0)
        if opcode in (Opcode.FOOTER, Opcode.DATA_END):
            return  # the end of the messages; what follows is the index
        if opcode <= 0:  # nothing, a part of a frame, or the zeros of a power failure
            damage.note('has no end: its recorder was stopped, or it was cut'
                        if opcode < 0 else f'holds only zeros from byte {start} on')
            damage.bytes_lost += end - start
            return
        whole = start + _FRAME.size + length <= end
        if opcode in _PARSED and min(length, end - start) > MAX_CHUNK_BYTES:
            damage.note(f'has a record of {length} bytes, more than are read')
            damage.bytes_lost += min(length, end - start)
            stream.seek(min(length, end), io.SEEK_CUR)
        elif opcode in _PARSED:
            yield opcode, stream.read(length if whole else end - start), whole
        elif whole:
            stream.seek(length, io.SEEK_CUR)
        if not whole:
            damage.note(f'is cut at byte {end}, within a record that began at byte {start}')
            damage.bytes_lost += end - start
            return


def _chunk(content: bytes, whole: bool, damage: Damage,
           budget: Budget) -> list[tuple[int, bytes]]:
    """Return the records of a chunk; of a torn or damaged one those that are whole."""
    if len(content) < _CHUNK_FIXED:
        return []
    name_length, = struct.unpack_from('<I', content, _CHUNK_FIXED - 4)
    if len(content) < _CHUNK_FIXED + name_length + 8:
        return []
    try:
        # One byte more: mcap's parser refuses a chunk without data.
        chunk = Chunk.read(ReadDataStream(io.BytesIO(content + b'\0')))
        packed = content[_CHUNK_FIXED + name_length + 8:]
        data = budget.unpack(partial(unpack_as_far, chunk.compression, packed),
                             chunk.uncompressed_size) if chunk.compression else packed
    except UnpackError as error:
        damage.note(f'has a chunk that {error}')
        damage.bytes_lost += len(content)
        return []
    except _MALFORMED:
        damage.malformed += 1
        return []
    if whole and (len(data) != chunk.uncompressed_size
                  or chunk.uncompressed_crc not in (0, zlib.crc32(data))):
        damage.note('has a damaged chunk')
        damage.bytes_lost += len(content)
        if len(data) == chunk.uncompressed_size:
            return []  # some byte is not what was written, and nobody knows which
    inner = Damage('')
    records = [(opcode, record) for opcode, record, complete in itertools.islice(
        _frames(io.BytesIO(data), len(data), inner), _MAX_RECORDS + 1) if complete]
    if len(records) > _MAX_RECORDS:
        damage.note(f'has a chunk of more than the {_MAX_RECORDS} records that are read')
    return records[:_MAX_RECORDS]


def _by_time(records: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Sort the messages of one chunk as an index would, behind its schemas and channels."""
    messages = [r for r in records if r[0] == Opcode.MESSAGE and len(r[1]) >= _MESSAGE.size]
    return [r for r in records if r[0] != Opcode.MESSAGE] + sorted(
        messages, key=lambda record: _MESSAGE.unpack_from(record[1])[2])


def _connection(channel: Channel, schema: Schema | None) -> Connection:
    return Connection(channel.topic, schema.name if schema else '',
                      schema.data.decode(errors='replace') if schema else '', '',
                      channel.metadata.get('offered_qos_profiles', ''),
                      channel.message_encoding)
