"""Open one storage file: through rosbags where it is whole, else salvaging what there is."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml
import zstandard
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.metadata import dump_qos_v9

from ssd_perception.bags.connection import Connection, Damage, Raw, Storage
from ssd_perception.bags.mcap_salvage import McapSalvage
from ssd_perception.bags.sqlite_salvage import LEFT_BEHIND, SqliteSalvage, has_left

SUFFIXES = ('.mcap', '.db3')
COMPRESSED_SUFFIXES = tuple(f'{suffix}.zstd' for suffix in SUFFIXES)


class UndamagedFile:
    """A file that rosbags opens; see ``connection.Storage``.

    Raises:
        Exception: whatever rosbags raises for a damaged one.
    """

    def __init__(self, path: Path):
        self._reader = Reader(path)
        self._reader.open()
        self.connections: dict[str, Connection] = {}
        self.counts: Counter[str] = Counter()
        self.damage = Damage(path.name)
        for found in self._reader.connections:
            self.counts[found.topic] += found.msgcount
            recorded = found.msgdef.format != MessageDefinitionFormat.NONE
            self.connections.setdefault(found.topic, Connection(
                found.topic, found.msgtype, found.msgdef.data if recorded else '', found.digest,
                qos_text(getattr(found.ext, 'offered_qos_profiles', ()))))
        some = self._reader.message_count > 0
        self.start_ns = self._reader.start_time if some else 0
        self.end_ns = self._reader.end_time - 1 if some else 0

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """Yield the messages of ``topics`` in the order of their time."""
        chosen = [c for c in self._reader.connections if c.topic in topics]
        for found, stamp_ns, cdr in self._reader.messages(chosen) if chosen else ():
            yield Raw(found.topic, stamp_ns, bytes(cdr))

    def close(self) -> None:
        """Close the file."""
        if self._reader.is_open:
            self._reader.close()


class StorageFile:
    """A storage file in whatever state, compressed as a whole or not; see ``connection.Storage``.

    One that turns out to be damaged on the way is salvaged from there on.
    """

    def __init__(self, path: Path):
        self._path = path
        self._folder: tempfile.TemporaryDirectory | None = None
        self._name = path.name
        unpacking = Damage(path.name)
        if path.name.endswith(COMPRESSED_SUFFIXES):
            self._folder = tempfile.TemporaryDirectory(prefix='ssd_perception_bag_')
            self._path = Path(self._folder.name, path.stem)
            _unpack(path, self._path, unpacking)
        self._storage: Storage = self._open()
        self.damage = self._storage.damage
        for reason in unpacking.what:
            self.damage.note(reason)
        self.connections, self.counts = self._storage.connections, self._storage.counts
        self.start_ns, self.end_ns = self._storage.start_ns, self._storage.end_ns

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """Yield the messages of ``topics``; never raises for damage, see ``damage``."""
        last_ns = -1
        at_last: list[Raw] = []
        try:
            for raw in self._storage.messages(topics):
                if raw.stamp_ns != last_ns:
                    last_ns, at_last = raw.stamp_ns, []
                at_last.append(raw)
                yield raw
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except Exception:  # struct, sqlite3, zstd, rosbags: whatever a damaged file makes them do
            # rosbags hands messages out in the order of their time, so what it still owes is
            # later than the last one.
            self._storage.close()
            self._storage = self._salvage()
            for reason in self._storage.damage.what:
                self.damage.note(reason)
            if not self.damage:
                self.damage.note('is damaged')
            self.damage.bytes_lost = self._storage.damage.bytes_lost
            for raw in self._storage.messages(topics):
                if raw.stamp_ns > last_ns or (raw.stamp_ns == last_ns and raw not in at_last):
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


def _unpack(source: Path, target: Path, damage: Damage) -> None:
    """Unpack a file of rosbag2's file compression as far as it goes."""
    with source.open('rb') as packed, target.open('wb') as unpacked:
        try:
            with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
                shutil.copyfileobj(stream, unpacked)
        except zstandard.ZstdError as error:
            damage.note(f'cannot be unpacked to its end ({error})')
