"""Write rosbag2 recordings; a recording appears under its name only when it is complete."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer

from ssd_perception.bags import types
from ssd_perception.bags.connection import Connection
from ssd_perception.bags.types import typestore
from ssd_perception.bags.unpacking import parse_qos

_STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}
_FOREVER = QosTime(2147483647, 4294967295)
_LATCHED = Qos(QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
               _FOREVER, _FOREVER, QosLiveliness.AUTOMATIC, _FOREVER, False)


class BagWriter:
    """Writes messages of ``typestore().types``; use it as a context manager.

    Leaving the ``with`` block normally gives the folder its name; leaving it by an exception
    leaves nothing behind.

    Args:
        path: the folder to create; must not exist yet.
        storage: ``mcap`` or ``sqlite3``.

    Raises:
        FileExistsError: when ``path`` exists.
    """

    def __init__(self, path: str | os.PathLike, storage: str = 'mcap'):
        self.path = Path(path)
        if self.path.exists():
            raise FileExistsError(f'{self.path} exists already; a recording is never overwritten.')
        self._partial = self.path.with_name(f'.{self.path.name}.{os.getpid()}.partial')
        # Version 9 writes QoS as rosbag2 of Jazzy and later does; older ones read it too.
        # rosbags calls the storage file after its folder, and writes that name into it.
        self._inner = self._partial / self.path.name
        self._writer = Writer(self._inner, version=9, storage_plugin=_STORAGES[storage])
        self._connections: dict[str, Any] = {}

    def add_topic(self, topic: str, type_name: str, latched: bool = False) -> None:
        """Announce a topic, also when no message follows; known topics are left alone.

        Args:
            latched: its last message is for late subscribers too (transient local).
        """
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, type_name, typestore=typestore(),
                offered_qos_profiles=[_LATCHED] if latched else [])

    def copy_topic(self, connection: Connection) -> bool:
        """Announce a topic as another recording has it; tell whether its type is known."""
        if connection.topic in self._connections:
            return True
        definition, digest = connection.definition, connection.digest
        try:
            if not definition:
                definition, _ = typestore().generate_msgdef(connection.type, ros_version=2)
                digest = digest or typestore().hash_rihs01(connection.type)
            digest = digest or types.digest(definition, connection.type)
            self._connections[connection.topic] = self._writer.add_connection(
                connection.topic, connection.type, msgdef=definition, rihs01=digest,
                offered_qos_profiles=parse_qos(connection.qos))
        except Exception:  # an unknown type, or a text that is no definition of one
            return False
        return True

    def write_cdr(self, topic: str, stamp_ns: int, cdr: bytes) -> None:
        """Append a serialized message on a topic that was announced."""
        self._writer.write(self._connections[topic], stamp_ns, cdr)

    def write(self, topic: str, stamp_ns: int, message: Any) -> None:
        """Append a rosbags message; ``stamp_ns`` is nanoseconds since the epoch."""
        self.add_topic(topic, message.__msgtype__)
        self._writer.write(self._connections[topic], stamp_ns,
                           typestore().serialize_cdr(message, message.__msgtype__))

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
            if kind is None:
                self._inner.rename(self.path)
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)
