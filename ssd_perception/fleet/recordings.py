"""Find the recordings that folders, globs, URLs and lists name, and give each a name."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ssd_perception.bags.metadata import FILE
from ssd_perception.bags.reader import BagError
from ssd_perception.bags.storage_file import COMPRESSED_SUFFIXES, SUFFIXES
from ssd_perception.core.result_folder import MARK
from ssd_perception.core.text import printable
from ssd_perception.fleet.remote import RemoteRecording, find_remote, is_url, shown
from ssd_perception.replay.work_folder import recorded_files

_KNOWN = (*SUFFIXES, *COMPRESSED_SUFFIXES)
_LIST = '.txt'
_MAX_LISTS = 10  # within each other
_MAX_LIST_BYTES = 50_000_000


@dataclass(frozen=True)
class FoundRecording:
    """One of many recordings.

    Attributes:
        place: absolute path, or a recording elsewhere.
        name: of its results: letters, digits, ``_``, ``-`` and ``.``, unlike every other's.
        size: bytes of its files.
        identity: of its files; it changes with them.
    """

    place: Path | RemoteRecording
    name: str
    size: int
    identity: str

    @property
    def source(self) -> str:
        """What to call it: its path, or its path at a URL."""
        if isinstance(self.place, Path):
            return str(self.place)
        return f'{shown(self.place.url)}: {self.place.path}'

    @contextmanager
    def local(self, parent: Path) -> Iterator[Path]:
        """Give its path on this machine.

        Args:
            parent: folder in which a recording from elsewhere lies until the end.

        Raises:
            BagError: when it lies elsewhere and cannot be read.
        """
        if isinstance(self.place, Path):
            yield self.place
        else:
            with self.place.fetched(parent / f'.{self.name}.fetched') as path:
                yield path


def is_one_recording(sources: Sequence[str]) -> bool:
    """Return whether ``sources`` name a single recording rather than where to look for many."""
    if len(sources) != 1 or sources[0].endswith(_LIST) or is_url(sources[0]):
        return False
    path = Path(sources[0]).expanduser()
    if not path.exists():
        return not glob.has_magic(sources[0])
    return not path.is_dir() or _below(path) in ([], [path])


def find_recordings(sources: Sequence[str]) -> list[FoundRecording]:
    """Return the recordings, sorted by path, each once.

    Args:
        sources: rosbag2 folders; .mcap or .db3 files; folders with recordings at any depth
            (results of earlier runs are left out); globs; URLs of these that fsspec reads; .txt
            files with one of these a line.

    Raises:
        BagError: when a source does not exist or has no recording, or a list is no UTF-8 text.
        ModuleNotFoundError: for a URL where fsspec is not installed.
        OSError: for a list that cannot be read.
    """
    places = sorted({place.resolve() if isinstance(place, Path) else place
                     for source in sources for place in _places(source, ())}, key=_path)
    return [_found(place, name) for place, name in zip(places, _names(list(map(_path, places))))]


def _path(place: Path | RemoteRecording) -> Path:
    return place if isinstance(place, Path) else Path(place.path)


def _found(place: Path | RemoteRecording, name: str) -> FoundRecording:
    if isinstance(place, Path):
        files = recorded_files(place)
        return FoundRecording(place, name, sum(size for _, size, _ in files), repr(files))
    return FoundRecording(place, name, sum(file.size for file in place.files), repr(place))


def _places(source: str, lists: tuple[Path, ...]) -> Sequence[Path | RemoteRecording]:
    """Return what a source names; ``lists`` are those that it stands in."""
    path = Path(source).expanduser()
    found: Sequence[Path | RemoteRecording]
    if is_url(source):
        found = find_remote(source, FILE, _KNOWN)
    elif path.suffix == _LIST and path.is_file():
        if path.resolve() in lists or len(lists) >= _MAX_LISTS:
            raise BagError(f'{printable(path)} names itself, or lists lists without an end; take '
                           'that line out.')
        found = [below for line in _lines(path) for below in _places(
            line if is_url(line) else os.path.join(path.parent, os.path.expanduser(line)),
            (*lists, path.resolve()))]
    elif path.exists():
        found = _below(path)
    elif glob.has_magic(source):
        found = [below for match in sorted(glob.glob(str(path), recursive=True))
                 for below in _below(Path(match))]
    else:
        raise BagError(f'There is no recording at {printable(source)}.')
    if not found:
        raise BagError(f'There is no recording in {printable(shown(source))}: neither a rosbag2 '
                       f'folder nor a file that ends in {", ".join(_KNOWN)}.')
    return found


def _lines(path: Path) -> list[str]:
    try:
        with path.open('rb') as file:
            data = file.read(_MAX_LIST_BYTES + 1)
        if len(data) > _MAX_LIST_BYTES:
            raise BagError(f'{printable(path)} has more than the {_MAX_LIST_BYTES} bytes that a '
                           'list of recordings may have.')
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        raise BagError(f'{printable(path)} is no list of recordings: it must be UTF-8 text, with '
                       'one source a line.') from error
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


def _below(path: Path) -> list[Path]:
    """Return ``path`` alone if all of it is one recording, else the recordings below it.

    Files in a folder that also has recordings below it are one recording each.
    """
    if not path.is_dir():
        return [path] if path.name.endswith(_KNOWN) else []
    if (path / FILE).is_file():
        return [path]
    entries, result = sorted(path.iterdir()), (path / MARK).is_file()
    files = [entry for entry in entries if entry.name.endswith(_KNOWN) and entry.is_file()]
    if result and not files:
        return []
    here = Path(os.path.realpath(path))
    above = (here, *here.parents)
    # Two links to a folder above would be followed in every order, without an end.
    found = [below for entry in entries if entry.is_dir() and not entry.name.startswith('.')
             and Path(os.path.realpath(entry)) not in above for below in _below(entry)]
    if files and not found:
        return [path]
    return [] if result else found + [file for file in files if not file.name.startswith('.')]


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each: its own, with as many folders before it as tell all apart."""
    for depth in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        names = [_plain('_'.join(path.parts[-depth:])) for path in paths]
        if max(Counter(map(str.lower, names)).values()) == 1:
            return names
    return [f'{_plain(path.name)}_{number}' for number, path in enumerate(paths)]


def _plain(name: str) -> str:
    for suffix in _KNOWN:
        name = name.removesuffix(suffix)
    return re.sub(r'[^A-Za-z0-9_.-]', '_', name)[-100:].lstrip('.-') or 'recording'
