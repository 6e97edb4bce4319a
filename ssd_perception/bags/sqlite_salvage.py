"""Read a sqlite3 recording that was not closed or was cut: row by row, up to the damage."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from ssd_perception.bags.connection import Connection, Damage, Raw
from ssd_perception.bags.unpacking import MAX_MESSAGE_BYTES
from ssd_perception.core.safe_path import regular_file

# What SQLite leaves beside a database whose writer was killed: messages that are not in the file
# yet (a write-ahead log), or a change that has to be taken back (a rollback journal).
LEFT_BEHIND = ('-wal', '-journal')
# SQLite's steps for one row; a large page of damaged rows takes thousands. Behind a view without
# an end, or pages that lead in a circle, there would be no end to them.
_MAX_STEPS, _STEPS_AT_ONCE = 20_000_000, 100_000
_MIN_ROW_BYTES = 4
_MAX_LEFT_BYTES = 1 << 30  # of what is left beside a small database
_MAX_TOPICS = 100_000
# Of what is damaged. SQLite says "out of memory" where a row claims to be of 2**63 bytes.
_ERRORS = (sqlite3.Error, OverflowError, MemoryError)
_TABLES = ('topics', 'messages', 'message_definitions')
_TYPES = {'topics': {'id': 'integer', 'name': 'text', 'type': 'text'},
          'messages': {'topic_id': 'integer', 'timestamp': 'integer', 'data': 'blob'}}


class NotPlain(ValueError):
    """A database that is not what rosbag2 writes; half a sentence."""


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
        self._plain = False
        left = [Path(f'{path}{end}') for end in LEFT_BEHIND if has_left(path, end)]
        if sum(file.stat().st_size for file in left) > max(_MAX_LEFT_BYTES, 4 * self._size):
            self.damage.note('was not closed by its recorder; what it left beside the file is too '
                             'large and is not used')
            left = []
        if left:
            # SQLite puts such a database in order while opening it; the recording stays as it
            # is, so that happens to a copy.
            self._folder = tempfile.TemporaryDirectory(prefix='ssd_perception_bag_')
            for file in (path, *left):
                shutil.copyfile(regular_file(file), Path(self._folder.name, file.name))
            self._path = Path(self._folder.name, path.name)
            self.damage.note('was not closed by its recorder')
        self._database = _connect(self._path, '' if left else '?mode=ro&immutable=1')
        # Without this SQLite refuses a file that is shorter than its header says.
        self._database.execute('PRAGMA writable_schema=ON')
        self.start_ns = self.end_ns = 0
        if not left and (announced := _announced_bytes(path)) > self._size:
            # Rows behind the cut may be gone without an error: what is absent reads as zeros.
            self.damage.note(f'is cut: {self._size} of {announced} bytes are there')
        self._look()

    def _look(self) -> None:
        """Find topics and count messages."""
        try:
            self._budget = _limit_steps(self._database)
            _check_plain(self._database)
            self._plain = True
            self._read_topics()
            for topic, stamp_ns, _ in self._rows('length(data)', self.damage):
                self.counts[topic] += 1
                self.start_ns = min(self.start_ns or stamp_ns, stamp_ns)
                self.end_ns = max(self.end_ns, stamp_ns)
        except NotPlain as error:
            self.damage.note(str(error))
        except _ERRORS as error:
            self.damage.note(f'is damaged ({_reason(error)})')

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """Yield the messages of ``topics`` in the order of their rows."""
        for topic, stamp_ns, data in self._rows('data', Damage('')):
            if topic in topics and isinstance(data, bytes):
                yield Raw(topic, stamp_ns, data)

    def close(self) -> None:
        """Close the database and remove its copy."""
        self._database.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _read_topics(self) -> None:
        columns = {row[1] for row in self._database.execute('PRAGMA table_info(topics)')}
        wanted = ('id', 'name', 'type', 'type_description_hash', 'offered_qos_profiles',
                  'serialization_format')
        chosen = ', '.join(name if name in columns else "''" for name in wanted)
        rows = self._database.execute(f'SELECT {chosen} FROM topics').fetchmany(_MAX_TOPICS)
        definitions = {}
        if self._database.execute('PRAGMA table_info(message_definitions)').fetchall():
            definitions = dict(self._database.execute(
                'SELECT topic_type, encoded_message_definition FROM message_definitions'
            ).fetchmany(_MAX_TOPICS))
        for number, topic, kind, digest, qos, encoding in rows:
            if not isinstance(number, int) or not isinstance(topic, str) or not topic:
                self.damage.malformed += 1
                continue
            self._topics[number] = topic
            kind, digest, qos, definition, encoding = (
                text if isinstance(text, str) else ''
                for text in (kind, digest, qos, definitions.get(kind, ''), encoding))
            self.connections.setdefault(
                topic, Connection(topic, kind, definition, digest, qos, encoding or 'cdr'))

    def _rows(self, column: str, damage: Damage) -> Iterator[tuple]:
        if not self._plain:
            return
        # By rowid, which is the order of writing: that needs no index, and a damaged page only
        # ends it.
        cursor: sqlite3.Cursor | None = None
        for _ in range(self._size // _MIN_ROW_BYTES):
            self._budget[0] = _MAX_STEPS
            try:
                cursor = cursor or self._database.execute(
                    f"SELECT topic_id, timestamp, {column}, typeof(data) = 'blob' AND "
                    f'length(data) <= {MAX_MESSAGE_BYTES} FROM messages ORDER BY rowid')
                row = cursor.fetchone()
            except _ERRORS as error:
                damage.note(f'is damaged or cut ({_reason(error)})')
                return
            if row is None:
                return
            number, stamp_ns, data, is_message = row
            if number in self._topics and isinstance(stamp_ns, int) and is_message:
                yield self._topics[number], stamp_ns, data
            else:
                damage.malformed += 1
        damage.note('has more rows than bytes: its pages lead in a circle')


def check_database(path: Path) -> None:
    """Check that a database holds plain tables with values of the right types, and has an end.

    Raises:
        NotPlain: for views, virtual tables and computed columns, which are SQL of whoever made
            the file, and for values of wrong types.
        sqlite3.Error: when it cannot be read.
    """
    database = _connect(path, '?mode=ro&immutable=1')
    try:
        budget = _limit_steps(database)
        _check_plain(database)
        budget[0] = max(_MAX_STEPS, path.stat().st_size)  # a row takes a few steps and more bytes
        for table, types in _TYPES.items():
            wrong = ' OR '.join(f"typeof({column}) <> '{kind}'" for column, kind in types.items())
            if database.execute(f'SELECT 1 FROM {table} WHERE {wrong} LIMIT 1').fetchone():
                raise NotPlain(f'has rows of wrong types in its table {table}')
    finally:
        database.close()


def has_left(path: Path, end: str) -> bool:
    """Tell whether a killed writer left such a file beside the database ``path``."""
    file = Path(f'{path}{end}')
    return file.is_file() and file.stat().st_size > 0


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a database; nothing in its name leads elsewhere, nothing in it is trusted."""
    database = sqlite3.connect(f'file:{_quoted(path)}{mode}', uri=True, check_same_thread=False)
    database.text_factory = lambda data: data.decode('utf-8', errors='replace')
    database.execute('PRAGMA trusted_schema=OFF')
    return database


def _check_plain(database: sqlite3.Connection) -> None:
    for name, kind, sql in database.execute(
            'SELECT name, type, sql FROM sqlite_master WHERE name COLLATE NOCASE IN (?, ?, ?)',
            _TABLES).fetchall():
        if kind != 'table' or not str(sql).upper().startswith('CREATE TABLE'):
            raise NotPlain(f'has no table called {name}, but a {kind} that computes it')
        # Hidden columns: 2 and 3 are computed, https://www.sqlite.org/pragma.html.
        if any(row[6] for row in database.execute(f'PRAGMA table_xinfo({name})')):
            raise NotPlain(f'has computed columns in its table {name}')


def _limit_steps(database: sqlite3.Connection) -> list[int]:
    """Let SQLite stop after so many steps; return the remaining number, to set it again."""
    budget = [_MAX_STEPS]

    def spend() -> int:
        budget[0] -= _STEPS_AT_ONCE
        return budget[0] < 0

    database.set_progress_handler(spend, _STEPS_AT_ONCE)
    return budget


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
    if isinstance(error, MemoryError):
        return 'a row of an impossible size'
    return ' '.join(str(error).split()) or type(error).__name__
