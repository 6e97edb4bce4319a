"""Open one storage file: with rosbags if it is undamaged, else by salvaging its messages."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.metadata import dump_qos_v9

from ssd_perception.bags.connection import Connection, Damage, Raw, Storage
from ssd_perception.bags.mcap_salvage import McapSalvage
from ssd_perception.bags.sqlite_salvage import (
    LEFT_BEHIND,
    SqliteSalvage,
    check_database,
    has_left,
)
from ssd_perception.bags.unpacking import MAX_CHUNK_BYTES, Budget, spend_from, unpack_file

SUFFIXES = ('.mcap', '.db3')
COMPRESSED_SUFFIXES = tuple(f'{suffix}.zstd' for suffix in SUFFIXES)
# rosbags holds all chunks that overlap in time; a recorder's follow each other.
_MAX_OPEN_BYTES = 4 * MAX_CHUNK_BYTES
_END: Any = (None, 0, b'')


class UndamagedFile:
    """A file that rosbags opens; see ``connection.Storage``.

    Raises:
        Exception: whatever rosbags raises for a damaged one.
    """

    def __init__(self, path: Path):
        self._folder: tempfile.TemporaryDirectory | None = None
        plain = path
        if path.suffix == '.db3':
            check_database(path)
            if any(mark in str(path) for mark in '%?#'):
                # rosbags gives SQLite a URI, in which these lead to another file.
                self._folder = tempfile.TemporaryDirectory(prefix='ssd_perception_bag_')
                plain = Path(self._folder.name, 'plain.db3')
                plain.symlink_to(path.absolute())
        try:
            self._reader = Reader(plain)
            spend_from(Budget(path.stat().st_size))
            self._reader.open()
            self._look(path)
            self._size = path.stat().st_size
        except BaseException:
            self.close()
            raise
        finally:
            spend_from(None)

    def _look(self, path: Path) -> None:
        _check_chunks(self._reader)
        self.connections: dict[str, Connection] = {}
        self.counts: Counter[str] = Counter()
        self.damage = Damage(path.name)
        for found in self._reader.connections:
            self.counts[found.topic] += found.msgcount
            recorded = found.msgdef.format != MessageDefinitionFormat.NONE
            self.connections.setdefault(found.topic, Connection(
                found.topic, found.msgtype, found.msgdef.data if recorded else '', found.digest,
                qos_text(getattr(found.ext, 'offered_qos_profiles', ())),
                getattr(found.ext, 'serialization_format', '') or 'cdr'))
        some = self._reader.message_count > 0
        self.start_ns = self._reader.start_time if some else 0
        self.end_ns = self._reader.end_time - 1 if some else 0

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """Yield the messages of ``topics`` in the order of their time."""
        chosen = [c for c in self._reader.connections if c.topic in topics]
        messages = iter(self._reader.messages(chosen) if chosen else ())
        budget, left = Budget(self._size), sum(self.counts[topic] for topic in topics)
        while True:
            spend_from(budget)  # another file may have been read since the last message
            found, stamp_ns, cdr = next(messages, _END)
            if found is None:
                if left > 0:
                    raise ValueError('the index leads to fewer messages than it counts')
                return
            left -= 1
            yield Raw(found.topic, stamp_ns, bytes(cdr))

    def close(self) -> None:
        """Close the file."""
        if (reader := getattr(self, '_reader', None)) is not None and reader.is_open:
            reader.close()
        if self._folder is not None:
            self._folder.cleanup()


class StorageFile:
    """A storage file in whatever state, compressed as a whole or not; see ``connection.Storage``.

    One that turns out to be damaged on the way is salvaged from there on.

    Attributes:
        size: bytes of the file.
    """

    def __init__(self, path: Path):
        self._path = path
        self._folder: tempfile.TemporaryDirectory | None = None
        self._name, self.size = path.name, path.stat().st_size
        unpacking = Damage(path.name)
        if path.name.endswith(COMPRESSED_SUFFIXES):
            self._folder = tempfile.TemporaryDirectory(prefix='ssd_perception_bag_')
            self._path = Path(self._folder.name, path.stem)
        try:
            if self._folder is not None:
                unpack_file(path, self._path, unpacking)
            self._storage: Storage = self._open()
        except BaseException:
            if self._folder is not None:
                self._folder.cleanup()
            raise
        self.damage = self._storage.damage
        for reason in unpacking.what:
            self.damage.note(reason)
        self.connections, self.counts = self._storage.connections, self._storage.counts
        self.start_ns, self.end_ns = self._storage.start_ns, self._storage.end_ns

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """Yield the messages of ``topics``; never raises for damage, see ``damage``."""
        last_ns = -1
        at_last: Counter[str] = Counter()
        try:
            for raw in self._storage.messages(topics):
                if raw.stamp_ns != last_ns:
                    last_ns, at_last = raw.stamp_ns, Counter()
                at_last[raw.topic] += 1
                yield raw
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except Exception:  # struct, sqlite3, zstd, rosbags: whatever a damaged file makes them do
            # rosbags hands messages out in the order of their time, those of equal times as they
            # were written; so what it has not handed out comes behind the last one.
            self._storage.close()
            self._storage = self._salvage()
            for reason in self._storage.damage.what:
                self.damage.note(reason)
            self.damage.malformed += self._storage.damage.malformed
            if not self.damage:
                self.damage.note('is damaged')
            self.damage.bytes_lost = self._storage.damage.bytes_lost
            for raw in self._storage.messages(topics):
                if raw.stamp_ns == last_ns and at_last[raw.topic]:
                    at_last[raw.topic] -= 1
                elif raw.stamp_ns >= last_ns:
                    yield raw

    def close(self) -> None:
        """Close the file, and remove what it was unpacked to."""
        self._storage.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _open(self) -> Storage:
        if not any(has_left(self._path, end) for end in LEFT_BEHIND):
            try:
                return UndamagedFile(self._path)
            except Exception:  # as above
                pass
        return self._salvage()

    def _salvage(self) -> Storage:
        if self._path.suffix == '.mcap':
            return McapSalvage(self._path)
        return SqliteSalvage(self._path, self._name)


def qos_text(profiles: Any) -> str:
    """Return rosbags' QoS profiles as the YAML text that rosbag2 stores; empty for none."""
    if not profiles:
        return ''
    dumped: object = dump_qos_v9(list(profiles))  # a string in older rosbags
    return dumped if isinstance(dumped, str) else yaml.safe_dump(dumped)


def _check_chunks(reader: Reader) -> None:
    """Raise ValueError for an mcap file whose index would make rosbags hold too much at once."""
    chunks = getattr(getattr(reader, 'storage', None), 'chunks', None) or []
    if any(max(c.compressed_size, c.uncompressed_size) > MAX_CHUNK_BYTES for c in chunks):
        raise ValueError('a chunk is too large')
    changes = sorted(change for c in chunks for change in (
        (c.message_start_time, c.uncompressed_size), (c.message_end_time, -c.uncompressed_size)))
    held = 0
    for _, change in changes:
        held += change
        if held > _MAX_OPEN_BYTES:
            raise ValueError('too many chunks overlap in time')
