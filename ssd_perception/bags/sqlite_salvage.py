"""Read a sqlite3 recording that was not closed, or was cut: row by row, as far as it goes."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from ssd_perception.bags.connection import Connection, Damage, Raw

# What SQLite leaves beside a database whose writer was killed: messages that are not in the file
# yet (a write-ahead log), or a change that has to be taken back (a rollback journal).
LEFT_BEHIND = ('-wal', '-journal')


class SqliteSalvage:
    """What is left of a rosbag2 database; see ``mcap_salvage.McapSalvage``.

    Args:
        path: the database, of any name.
        name: what to call it in sentences.
    """

    def __init__(self, path: Path, name: str = ''):
        self.connections: dict[str, Connection] = {}
        self.counts: Counter[str] = Counter()
        self.damage = Damage(name or path.name)
        self._path, self._size = path, path.stat().st_size
        self._topics: dict[int, str] = {}
        self._folder = None
        if left := [Path(f'{path}{end}') for end in LEFT_BEHIND if has_left(path, end)]:
            # SQLite puts such a database in order while opening it; the recording stays as it
            # is, so that happens to a copy.
            self._folder = tempfile.TemporaryDirectory(prefix='ssd_perception_bag_')
            for file in (path, *left):
                shutil.copyfile(file, Path(self._folder.name, file.name))
            self._path = Path(self._folder.name, path.name)
            self.damage.note('was not closed by its recorder')
        mode = '' if left else '?mode=ro&immutable=1'
        self._database = sqlite3.connect(f'file:{_quoted(self._path)}{mode}', uri=True,
                                         check_same_thread=False)
        # Without this SQLite refuses a file that is shorter than its header says.
        self._database.execute('PRAGMA writable_schema=ON')
        self.start_ns = self.end_ns = 0
        if not left and (announced := _announced_bytes(path)) > self._size:
            # Rows behind the cut may be gone without an error: what is absent reads as zeros.
            self.damage.note(f'is cut: {self._size} of {announced} bytes are there')
        try:
            self._read_topics()
            for topic, stamp_ns, _ in self._rows('length(data)', self.damage):
                self.counts[topic] += 1
                self.start_ns = min(self.start_ns or stamp_ns, stamp_ns)
                self.end_ns = max(self.end_ns, stamp_ns)
        except sqlite3.Error as error:
            self.damage.note(f'is damaged ({_reason(error)})')

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """Yield the messages of ``topics`` in the order of their rows."""
        for topic, stamp_ns, data in self._rows('data', Damage('')):
            if topic in topics:
                yield Raw(topic, stamp_ns, bytes(data))

    def close(self) -> None:
        """Close the database and remove its copy."""
        self._database.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _read_topics(self) -> None:
        columns = {row[1] for row in self._database.execute('PRAGMA table_info(topics)')}
        wanted = ('id', 'name', 'type', 'type_description_hash', 'offered_qos_profiles')
        rows = self._database.execute('SELECT {} FROM topics'.format(
            ', '.join(name if name in columns else "''" for name in wanted))).fetchall()
        definitions = {}
        if self._database.execute('PRAGMA table_info(message_definitions)').fetchall():
            definitions = dict(self._database.execute(
                'SELECT topic_type, encoded_message_definition FROM message_definitions'))
        for number, topic, kind, digest, qos in rows:
            self._topics[number] = topic
            self.connections.setdefault(
                topic, Connection(topic, kind, definitions.get(kind, ''), digest, qos))

    def _rows(self, column: str, damage: Damage) -> Iterator[tuple]:
        # By rowid, which is the order of writing: that needs no index, and a damaged page only
        # ends it.
        cursor = self._database.execute(
            f'SELECT topic_id, timestamp, {column} FROM messages ORDER BY rowid')
        while True:
            try:
                row = cursor.fetchone()
            except (sqlite3.Error, OverflowError, MemoryError) as error:
                damage.note(f'is damaged or cut ({_reason(error)})')
                return
            if row is None:
                return
            number, stamp_ns, data = row
            if number in self._topics and isinstance(stamp_ns, int) and data is not None:
                yield self._topics[number], stamp_ns, data


def has_left(path: Path, end: str) -> bool:
    """Tell whether a killed writer left such a file beside the database ``path``."""
    file = Path(f'{path}{end}')
    return file.is_file() and file.stat().st_size > 0


def _announced_bytes(path: Path) -> int:
    """Return how long the file should be by its own header; 0 where it does not hold that.

    https://www.sqlite.org/fileformat2.html, 1.3: an old SQLite leaves a number of pages there
    that is valid only while two counters are equal.
    """
    with open(path, 'rb') as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(b'SQLite format 3\0') \
            or header[24:28] != header[92:96]:
        return 0
    page_bytes = int.from_bytes(header[16:18], 'big')
    return int.from_bytes(header[28:32], 'big') * (65536 if page_bytes == 1 else page_bytes)


def _quoted(path: Path) -> str:
    return str(path).replace('%', '%25').replace('?', '%3f').replace('#', '%23')


def _reason(error: Exception) -> str:
    return ' '.join(str(error).split()) or type(error).__name__
