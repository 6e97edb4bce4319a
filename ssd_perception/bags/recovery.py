"""Read what is left of a recording whose recorder was killed, or that lost files or bytes."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
import zstandard

from ssd_perception.bags.connection import Connection
from ssd_perception.bags.reader import Bag, BagError, Record
from ssd_perception.bags.storage_file import COMPRESSED_SUFFIXES, SUFFIXES, StorageFile

_ZSTD = b'\x28\xb5\x2f\xfd'  # no serialized message begins so: its first byte is 0


class RecoveringBag(Bag):
    """A Bag that reads on where a whole one is expected to be refused; see ``reader.Bag``.

    It wants no metadata.yaml, no end of a file, not every file of a split recording; it unpacks
    files and messages compressed by rosbag2. Messages come file by file, those of a damaged
    file in the order of writing.

    Attributes:
        connections: topic -> Connection.
        counts: as ``Bag``, of what can be read.

    Raises:
        BagError: when there is nothing at all that can be read.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path).expanduser()
        self._metadata: dict = {}
        self._notes: list[str] = []
        self._files: list[StorageFile] = []
        self._read: dict[str, int] = {}  # of the topics that were read to their end
        self._unpackable = 0
        try:
            self._files = [self._opened(file) for file in self._listed()]
            self._add_up()
        except BaseException:
            self.close()
            raise

    def records(self, topics: Sequence[str] = ()) -> Iterator[Record]:
        """Yield the messages of ``topics`` (all when empty), as far as they can be read.

        Raises:
            BagError: before the first message, when a topic is not in the recording.
        """
        self.require(topics)
        return self._recovered(set(topics or self.topics))

    def losses(self) -> list[str]:
        """Return what is wrong with the recording, a sentence each; empty for a whole one.

        Damage within a file may show only when ``records`` has come to it.
        """
        found = [*self._notes, *(str(file.damage) for file in self._files if file.damage)]
        if self._unpackable:
            found.append(f'{self._unpackable} compressed messages could not be unpacked.')
        expected = self._expected()
        lost = sum(max(0, count - self._read.get(topic, self.counts.get(topic, 0)))
                   for topic, count in expected.items())
        if lost:
            found.append(f'Of {sum(expected.values())} messages {lost} are lost.')
        return found

    def close(self) -> None:
        """Close the files; may be called twice."""
        for file in self._files:
            file.close()
        self._files = []

    def _listed(self) -> list[Path]:
        """Return the storage files in their order; note which are missing."""
        if not self.path.exists():
            raise BagError(f'There is no recording at {self.path}.')
        known = SUFFIXES + COMPRESSED_SUFFIXES
        if self.path.is_file():
            if not self.path.name.endswith(known):
                raise BagError(f'{self.path} is not a rosbag2 recording: give its folder, or a '
                               f'file that ends in {", ".join(known)}.')
            return [self.path]
        there = sorted((p for p in self.path.iterdir() if p.name.endswith(known)), key=_natural)
        self._metadata = self._read_metadata(bool(there))
        listed = [self.path / Path(str(name)).name
                  for name in self._metadata.get('relative_file_paths') or []]
        counts = {Path(str(file.get('path'))).name: file.get('message_count')
                  for file in self._metadata.get('files') or [] if isinstance(file, dict)}
        for file in listed:
            if file not in there:
                count = counts.get(file.name)
                self._notes.append(f'{file.name} is missing'
                                   + (f', with {count} messages.' if count else '.'))
        if not there:
            raise BagError(f'{self.path} is not a rosbag2 folder: it has no file that ends in '
                           f'{", ".join(known)}.')
        # A recorder that was killed may not have listed its last file yet.
        return [f for f in listed if f in there] + [f for f in there if f not in listed]

    def _read_metadata(self, has_files: bool) -> dict:
        file = self.path / 'metadata.yaml'
        if not file.is_file():
            if has_files:
                self._notes.append('metadata.yaml is missing.')
            return {}
        try:
            metadata = yaml.safe_load(file.read_text())['rosbag2_bagfile_information']
            if isinstance(metadata, dict):
                return metadata
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
            pass
        self._notes.append('metadata.yaml is damaged.')
        return {}

    def _opened(self, path: Path) -> StorageFile:
        try:
            return StorageFile(path)
        except OSError as error:
            raise BagError(f'{path} cannot be read: {error.strerror or error}.') from error

    def _add_up(self) -> None:
        self.topics: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.connections: dict[str, Connection] = {}
        for file in self._files:
            for topic, connection in file.connections.items():
                known = self.connections.get(topic)
                if known is None or not known.type:
                    self.connections[topic] = connection
        for topic, connection in self.connections.items():
            self.topics[topic] = connection.type
            self.counts[topic] = sum(file.counts.get(topic, 0) for file in self._files)
        damaged = self._notes or any(file.damage for file in self._files)
        if damaged and not any(self.counts.values()):
            raise BagError(f'{self.path} holds no message that can be read: '
                           + ' '.join(self.losses()))
        times = [(file.start_ns, file.end_ns) for file in self._files if any(file.counts.values())]
        self.start_ns = min((start for start, _ in times), default=0)
        self.duration_ns = max((end for _, end in times), default=0) - self.start_ns

    def _recovered(self, topics: set[str]) -> Iterator[Record]:
        self._unpackable, read = 0, Counter(dict.fromkeys(topics, 0))
        for file in self._files:
            for topic, stamp_ns, cdr in file.messages(topics):
                if cdr[:4] == _ZSTD:
                    try:
                        cdr = zstandard.ZstdDecompressor().decompressobj().decompress(cdr)
                    except zstandard.ZstdError:
                        self._unpackable += 1
                        continue
                read[topic] += 1
                yield Record(topic, self.topics[topic], stamp_ns, cdr)
        self._read.update(read)

    def _expected(self) -> dict[str, int]:
        """Return topic -> messages that there should be: by the metadata, else by the index."""
        expected = dict(self.counts)
        for entry in self._metadata.get('topics_with_message_count') or []:
            try:
                topic, count = entry['topic_metadata']['name'], int(entry['message_count'])
            except (KeyError, TypeError, ValueError):
                continue
            expected[topic] = max(count, expected.get(topic, 0))
        return expected


def _natural(path: Path) -> list:
    """Sort drive_10 behind drive_9."""
    return [int(part) if part.isdigit() else part for part in re.split(r'(\d+)', path.name)]
