"""Write rosbag2 recordings; a recording appears under its name only when it is complete."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rosbags.rosbag2 import StoragePlugin, Writer

from ssd_perception.bags.types import typestore

_STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}


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
        self._writer = Writer(self._partial, version=9, storage_plugin=_STORAGES[storage])
        self._connections = {}

    def add_topic(self, topic: str, type_name: str) -> None:
        """Announce a topic, also when no message follows; known topics are left alone."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, type_name, typestore=typestore())

    def write(self, topic: str, stamp_ns: int, message) -> None:
        """Append a rosbags message; ``stamp_ns`` is nanoseconds since the epoch."""
        self.add_topic(topic, message.__msgtype__)
        self._writer.write(self._connections[topic], stamp_ns,
                           typestore().serialize_cdr(message, message.__msgtype__))

    def __enter__(self) -> BagWriter:
        self._writer.open()
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
            if kind is None:
                _name_files_after(self._partial, self.path.name)
                self._partial.rename(self.path)
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)


def _name_files_after(folder: Path, name: str) -> None:
    """Rename the storage file, which rosbags calls after the temporary folder."""
    metadata = folder / 'metadata.yaml'
    text = metadata.read_text()
    for file in folder.iterdir():
        if file != metadata:
            text = text.replace(file.name, name + file.suffix)
            file.rename(folder / (name + file.suffix))
    metadata.write_text(text)
