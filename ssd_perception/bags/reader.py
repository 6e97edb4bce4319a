"""Read rosbag2 recordings, mcap and sqlite3: whole ones, and what is left of broken ones."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ssd_perception.bags.connection import Connection
from ssd_perception.bags.metadata import (
    FILE,
    RecordingMetadata,
    missing_file,
    read_metadata,
)
from ssd_perception.bags.storage_file import COMPRESSED_SUFFIXES, SUFFIXES, StorageFile
from ssd_perception.bags.types import typestore
from ssd_perception.bags.unpacking import Budget, UnpackError, unpack_message
from ssd_perception.core.errors import DataError, UserError
from ssd_perception.core.safe_path import inside, regular_file
from ssd_perception.core.text import printable

_AnyBag = TypeVar('_AnyBag', bound='RecoveringBag')
_KNOWN = SUFFIXES + COMPRESSED_SUFFIXES
_ZSTD = b'\x28\xb5\x2f\xfd'  # no serialized message begins so: its first byte is 0
_GIT_LFS = b'version https://git-lfs'
_MAX_STAMP_NS = 1 << 63  # rosbag2 counts nanoseconds in 64 bits with a sign
_MAX_LISTED = 10  # topics in a sentence


class BagError(UserError, ValueError):
    """A recording that cannot be read, or lacks what was asked for; one sentence."""


@dataclass(frozen=True)
class Record:
    """One recorded message, still serialized.

    Attributes:
        topic: absolute name, for example ``/camera/image_raw``.
        type: ROS type, for example ``sensor_msgs/msg/Image``.
        stamp_ns: when it was recorded, nanoseconds since the epoch (the header of the message
            may have another time).
        cdr: the message as DDS carries it.
    """

    topic: str
    type: str
    stamp_ns: int
    cdr: bytes

    @property
    def message(self) -> Any:
        """The message as rosbags reads it, deserialized anew on each access.

        Raises:
            BagError: when the type is unknown or the bytes are not such a message.
        """
        try:
            return typestore().deserialize_cdr(self.cdr, self.type)
        except KeyError as error:
            raise BagError(f'Messages of type {printable(self.type)} on {printable(self.topic)} '
                           'cannot be read: the type is not known.') from error
        except Exception as error:  # rosbags passes on whatever its generated code hit
            raise BagError(f'A message on {printable(self.topic)} is not a '
                           f'{printable(self.type)}: {printable(error)}') from error


class RecoveringBag:
    """An open recording, read as far as it goes; also a context manager.

    It needs no metadata.yaml, no end of a file, not every file of a split recording; it unpacks
    files and messages compressed by rosbag2. Messages come file by file, those of a whole file
    in the order of their time, those of a damaged one in the order of writing.

    Attributes:
        path: what was opened: a rosbag2 folder, or one of its files.
        topics: topic -> ROS type, of every topic in the recording; a type in an encoding that is
            not read has that behind it, such as ``sensor_msgs/Image (ros1)``.
        counts: topic -> number of messages that can be read.
        connections: topic -> Connection.
        start_ns, duration_ns: when the recording begins and how long it lasts.

    Raises:
        BagError: when there is nothing at all that can be read.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path).expanduser()
        self._metadata = RecordingMetadata()
        self._notes: list[str] = []
        self._files: list[StorageFile] = []
        self._read: dict[str, int] = {}  # of the topics that were read to their end
        self._unpackable = self._untimely = 0
        try:
            for file in self._listed():
                self._open(file)
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

    def require(self, topics: Sequence[str]) -> None:
        """Raise BagError when one of ``topics`` is not in the recording."""
        for topic in topics:
            if topic not in self.topics:
                raise BagError(f'{self.path} has no topic {printable(topic)}; it has: '
                               f'{self.describe_topics()}.')

    def describe_topics(self) -> str:
        """Return the topics with their types, as far as a sentence takes them."""
        found = [f'{printable(topic)} ({printable(kind) or "of no known type"})'
                 for topic, kind in sorted(self.topics.items())]
        more = [f'{len(found) - _MAX_LISTED} more'] * (len(found) > _MAX_LISTED)
        return ', '.join(found[:_MAX_LISTED] + more) or 'none at all'

    def of_type(self, *types: str) -> list[str]:
        """Return the topics that have one of the ROS ``types``, sorted."""
        return sorted(topic for topic, name in self.topics.items() if name in types)

    def losses(self) -> list[str]:
        """Return what is wrong with the recording, a sentence each; empty for a whole one.

        Damage within a file may show only when ``records`` has come to it.
        """
        found = [*self._notes, *(str(file.damage) for file in self._files if file.damage)]
        if self._unpackable:
            found.append(f'{self._unpackable} compressed messages could not be unpacked.')
        if self._untimely:
            found.append(f'{self._untimely} messages have an impossible time of recording and '
                         'are left out.')
        expected = {topic: max(count, self._metadata.expected.get(topic, 0))
                    for topic, count in {**self._metadata.expected, **self.counts}.items()}
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

    def __enter__(self: _AnyBag) -> _AnyBag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listed(self) -> list[Path]:
        """Return the storage files in their order; note which are missing."""
        if not self.path.exists():
            raise BagError(f'There is no recording at {self.path}.')
        if not self.path.is_dir():
            if not self.path.name.endswith(_KNOWN):
                raise BagError(f'{self.path} is not a rosbag2 recording: give its folder, or a '
                               f'file that ends in {", ".join(_KNOWN)}.')
            return [self.path]
        there = sorted((p.name for p in self.path.iterdir() if p.name.endswith(_KNOWN)),
                       key=_natural)
        self._metadata = read_metadata(self.path)
        if self._metadata.damage and there:
            self._notes.append(f'{FILE} {self._metadata.damage}.')
        listed = self._metadata.files
        self._notes += [missing_file(name, self._metadata)
                        for name in listed if name not in there]
        if not there:
            raise BagError(' '.join([f'{self.path} is not a rosbag2 folder: it has no file that '
                                     f'ends in {", ".join(_KNOWN)}.', *self._notes]))
        # A recorder that was killed may not have listed its last file yet.
        return [self.path / name for name in [name for name in listed if name in there]
                + [name for name in there if name not in listed]]

    def _open(self, path: Path) -> None:
        """Open a storage file, or note why it cannot be."""
        try:
            regular_file(inside(self.path, path.name) if self.path.is_dir() else path)
            with open(path, 'rb') as file:
                if file.read(len(_GIT_LFS)) == _GIT_LFS:
                    self._notes.append(f'{printable(path.name)} is a pointer of Git LFS, not the '
                                       'recording; fetch it with `git lfs pull`.')
                    return
            self._files.append(StorageFile(path))
        except DataError as error:
            self._notes.append(str(error))
        except OSError as error:
            where = '' if error.filename in (None, str(path)) else f' ({error.filename})'
            raise BagError(f'{path} cannot be read: {error.strerror or error}{where}.') from error

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
            other = '' if connection.encoding == 'cdr' else f' ({connection.encoding})'
            self.topics[topic] = connection.type + other
            self.counts[topic] = sum(file.counts.get(topic, 0) for file in self._files)
        damaged = self._notes or any(file.damage for file in self._files)
        if damaged and not any(self.counts.values()):
            raise BagError(f'{self.path} holds no message that can be read: '
                           + ' '.join(self.losses()))
        times = [(file.start_ns, file.end_ns) for file in self._files if any(file.counts.values())]
        self.start_ns = min((start for start, _ in times), default=0)
        self.duration_ns = max((end for _, end in times), default=0) - self.start_ns

    def _recovered(self, topics: set[str]) -> Iterator[Record]:
        self._unpackable = self._untimely = 0
        read = Counter(dict.fromkeys(topics, 0))
        for file in self._files:
            budget = Budget(file.size)
            for topic, stamp_ns, cdr in file.messages(topics):
                if not 0 <= stamp_ns < _MAX_STAMP_NS:
                    self._untimely += 1
                    continue
                if cdr[:4] == _ZSTD:
                    try:
                        cdr = unpack_message(cdr, budget)
                    except UnpackError:
                        self._unpackable += 1
                        continue
                read[topic] += 1
                yield Record(topic, self.topics[topic], stamp_ns, cdr)
        self._read.update(read)


class Bag(RecoveringBag):
    """A recording that must be whole; see ``RecoveringBag``.

    Raises:
        BagError: for any damage: when it is opened, or on the way through ``records``.
    """

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        try:
            if self.path.is_dir() and self._metadata.damage == 'is missing':
                raise BagError(f'{self.path} is not a rosbag2 folder: it has no {FILE}.')
            self._refuse_losses()
        except BagError:
            self.close()
            raise

    def _recovered(self, topics: set[str]) -> Iterator[Record]:
        yield from super()._recovered(topics)
        self._refuse_losses()

    def _refuse_losses(self) -> None:
        if losses := self.losses():
            raise BagError(f'{self.path} is damaged: {" ".join(losses)}')


def _natural(name: str) -> list[str | int]:
    """Sort drive_10 behind drive_9."""
    return [int(part) if part.isdecimal() else part for part in re.split(r'(\d+)', name)]
