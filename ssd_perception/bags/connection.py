"""What the readers of storage files have in common: topics, raw messages and damage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ssd_perception.core.text import printable


@dataclass(frozen=True)
class Connection:
    """A topic in a recording.

    Attributes:
        topic: absolute name.
        type: ROS type, for example ``sensor_msgs/msg/Image``; empty when it is not recorded.
        definition: the type's .msg or .idl text with all it depends on; empty when not recorded.
        digest: its RIHS01 hash; empty when not recorded.
        qos: the offered QoS profiles, as the YAML that rosbag2 stores.
        encoding: of its messages: ``cdr``, which ROS 2 writes; only that is read.
    """

    topic: str
    type: str
    definition: str = ''
    digest: str = ''
    qos: str = ''
    encoding: str = 'cdr'


class Raw(NamedTuple):
    """One message: topic, time of recording in nanoseconds, and its serialized bytes."""

    topic: str
    stamp_ns: int
    cdr: bytes


@dataclass
class Damage:
    """The damage of one file; empty, and false, for an undamaged one.

    Attributes:
        file: the file's name.
        what: the reasons, in words that follow the file's name.
        bytes_lost: bytes that could not be read, of the file as stored.
        malformed: complete records whose content does not fit their kind.
    """

    file: str
    what: list[str] = field(default_factory=list)
    bytes_lost: int = 0
    malformed: int = 0

    def note(self, what: str) -> None:
        """Add a reason, once."""
        if what not in self.what:
            self.what.append(what)

    def __bool__(self) -> bool:
        return bool(self.what or self.malformed)

    def __str__(self) -> str:
        what = [*self.what, *([f'has {self.malformed} malformed records'] * bool(self.malformed))]
        lost = f'; {size(self.bytes_lost)} could not be read' if self.bytes_lost else ''
        return f'{printable(self.file)} {" and ".join(what)}{lost}.'


class Storage(Protocol):
    """One storage file, however it is read."""

    connections: dict[str, Connection]
    counts: Counter[str]
    start_ns: int
    end_ns: int
    damage: Damage

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """Yield the messages of ``topics``."""

    def close(self) -> None:
        """Release what is open."""


def size(count: int) -> str:
    """Return a number of bytes in words, such as ``3.4 MB``."""
    for unit, factor in (('GB', 10 ** 9), ('MB', 10 ** 6), ('kB', 10 ** 3)):
        if count >= factor:
            return f'{count / factor:.1f} {unit}'
    return f'{count} bytes'
