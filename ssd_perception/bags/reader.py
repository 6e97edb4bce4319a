"""Read rosbag2 recordings, mcap and sqlite3, in the order in which they were recorded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rosbags.rosbag2 import Reader

from ssd_perception.bags.types import typestore
from ssd_perception.core.errors import UserError

_SUFFIXES = ('.mcap', '.db3')
_AnyBag = TypeVar('_AnyBag', bound='Bag')


class BagError(UserError, ValueError):
    """A recording that cannot be read, or lacks what was asked for; one sentence."""


@dataclass(frozen=True)
class Record:
    """One recorded message, still serialized.

    Attributes:
        topic: absolute name, for example ``/camera/image_raw``.
        type: ROS type, for example ``sensor_msgs/msg/Image``.
        stamp_ns: when it was recorded, nanoseconds since the epoch (the header of the message
            may say another time).
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
            raise BagError(f'Messages of type {self.type} on {self.topic} cannot be read: the '
                           'type is not known.') from error
        except Exception as error:  # rosbags passes on whatever its generated code hit
            raise BagError(f'A message on {self.topic} is not a {self.type}: {error}') from error


class Bag:
    """An open recording; also a context manager.

    Attributes:
        path: what was opened: a rosbag2 folder, or one .mcap or .db3 file.
        topics: topic -> ROS type, of every topic in the recording.
        counts: topic -> number of messages.
        start_ns, duration_ns: when the recording begins and how long it lasts.

    Raises:
        BagError: when there is no such recording, or it cannot be read.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path).expanduser()
        _check_path(self.path)
        try:
            self._reader = Reader(self.path)
            self._reader.open()
        except Exception as error:  # struct, yaml, sqlite3, zstd: a broken file can raise any
            raise BagError(f'{self.path} is not a rosbag2 recording or is damaged: '
                           f'{_reason(error)}') from error
        self.topics: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        for connection in self._reader.connections:
            self.topics[connection.topic] = connection.msgtype
            self.counts[connection.topic] = (self.counts.get(connection.topic, 0)
                                             + connection.msgcount)
        empty = self._reader.message_count == 0
        self.start_ns = 0 if empty else self._reader.start_time
        self.duration_ns = 0 if empty else self._reader.duration

    def records(self, topics: Sequence[str] = ()) -> Iterator[Record]:
        """Yield the messages of ``topics`` (all when empty) in recorded order.

        Raises:
            BagError: before the first message, when a topic is not in the recording (naming
                those that are); on the way, when the file ends early or is damaged.
        """
        self.require(topics)
        chosen = [c for c in self._reader.connections if not topics or c.topic in topics]
        return self._records(chosen)

    def require(self, topics: Sequence[str]) -> None:
        """Raise BagError when one of ``topics`` is not in the recording."""
        for topic in topics:
            if topic not in self.topics:
                present = ', '.join(sorted(self.topics)) or 'none at all'
                raise BagError(f'{self.path} has no topic {topic}; it has: {present}.')

    def of_type(self, *types: str) -> list[str]:
        """Return the topics that have one of the ROS ``types``, sorted."""
        return sorted(topic for topic, name in self.topics.items() if name in types)

    def _records(self, connections: Any) -> Iterator[Record]:
        read = 0
        try:
            for connection, stamp_ns, cdr in self._reader.messages(connections) \
                    if connections else ():
                read += 1
                yield Record(connection.topic, connection.msgtype, stamp_ns, bytes(cdr))
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except Exception as error:
            raise BagError(f'{self.path} is damaged after {read} messages: '
                           f'{_reason(error)}') from error

    def close(self) -> None:
        """Close the files; may be called twice."""
        if self._reader.is_open:
            self._reader.close()

    def __enter__(self: _AnyBag) -> _AnyBag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _check_path(path: Path) -> None:
    """Say in words what rosbags would say as an exception about a file inside."""
    if not path.exists():
        raise BagError(f'There is no recording at {path}.')
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        raise BagError(f'{path} is not a rosbag2 folder: it has no metadata.yaml.')
    if path.is_file() and path.suffix not in _SUFFIXES:
        raise BagError(f'{path} is not a rosbag2 recording: give its folder, or a file that ends '
                       f'in {" or ".join(_SUFFIXES)}.')


def _reason(error: Exception) -> str:
    text = ' '.join(str(error).split()) or type(error).__name__
    return text if text.endswith('.') else text + '.'
