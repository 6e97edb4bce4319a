"""Find recordings in whatever fsspec reads, and copy each here while it is used."""

from __future__ import annotations

import errno
import os
import posixpath
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ssd_perception.bags.reader import BagError
from ssd_perception.core.result_folder import MARK
from ssd_perception.core.text import one_line, printable


@dataclass(frozen=True)
class RemoteFile:
    """A file of a recording elsewhere.

    Attributes:
        path: in its file system.
        size: bytes, 0 where the file system does not say.
        version: hexadecimal; it changes with the file, as far as the file system knows.
    """

    path: str
    size: int
    version: str


@dataclass(frozen=True)
class RemoteRecording:
    """A recording elsewhere; it can be pickled, and needs no open connection.

    Attributes:
        url: that was given, with the protocol; it opens the file system. Two that lead to the same
            files make equal recordings, and it may hold a password.
        path: of the folder or the file, in its file system.
        files: that belong to it.
    """

    url: str = field(compare=False, repr=False)
    path: str
    files: tuple[RemoteFile, ...]

    @contextmanager
    def fetched(self, folder: Path) -> Iterator[Path]:
        """Copy it into ``folder``, which is made for it and removed at the end.

        Raises:
            BagError: when it cannot be read.
        """
        shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
        folder.mkdir()
        try:
            # A file system may hand out any names: of each only the last part is used.
            name = posixpath.basename(self.path)
            local = folder / ('recording' if name in ('', '.', '..') else name)
            if is_folder := any(file.path != self.path for file in self.files):
                local.mkdir()
            for file in self.files:
                target = local / posixpath.basename(file.path) if is_folder else local
                self._fetch(file, target)
                changed = int(file.version[:12], 16)  # an interrupted run goes on where it has not
                os.utime(target, ns=(changed, changed))
            yield local
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _fetch(self, file: RemoteFile, target: Path) -> None:
        try:
            _open(self.url)[0].get_file(file.path, str(target))
        except Exception as error:  # each file system has exceptions of its own
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise  # of this machine
            raise _unreadable(self.url, error) from error


def is_url(source: str) -> bool:
    """Return whether ``source`` names a place by its protocol, as ``s3://bucket/drives``."""
    return '://' in source


def shown(url: str) -> str:
    """Return a URL without user and password, for messages and results."""
    return re.sub(r'//[^/@]*@', '//', url)


def find_remote(url: str, marks: str, suffixes: tuple[str, ...]) -> list[RemoteRecording]:
    """Return the recordings that a URL names or that lie below it, sorted by path.

    Args:
        url: of a file, a folder or a glob.
        marks: name of the file that makes a folder a recording.
        suffixes: of files that are recordings; a folder with one is a recording, too.

    Raises:
        BagError: when it cannot be read.
        ModuleNotFoundError: when fsspec is not installed.
    """
    system, root = _open(url)
    try:
        roots = system.glob(root) if any(sign in root for sign in '*?[') else [root]
        folders: dict[str, list[RemoteFile]] = defaultdict(list)
        found: dict[str, tuple[RemoteFile, ...]] = {}
        for place in roots:
            if system.isfile(place):
                if place.endswith(suffixes):
                    found[place] = (_file(place, system.info(place)),)
                continue
            for path, info in system.find(place, detail=True).items():
                if '/.' not in path.removeprefix(place):  # hidden, as in a local folder
                    folders[posixpath.dirname(path)].append(_file(path, info))
    except Exception as error:  # each file system has exceptions of its own
        raise _unreadable(url, error) from error
    results = {folder for folder, files in folders.items() if f'{folder}/{MARK}' in
               {file.path for file in files}}
    recordings = {folder for folder, files in folders.items()
                  if results.isdisjoint([folder, *_parents(folder)])
                  and any(file.path.endswith((f'/{marks}', *suffixes)) for file in files)}
    for folder in sorted(recordings, key=lambda name: name.split('/')):
        files = sorted(folders[folder], key=lambda file: file.path)
        if not found.keys().isdisjoint([folder, *_parents(folder)]):
            continue
        if f'{folder}/{marks}' in {file.path for file in files} or not any(
                folder in _parents(other) for other in recordings):
            found[folder] = tuple(files)
        else:  # files beside folders of recordings are one recording each
            found.update({file.path: (file,) for file in files if file.path.endswith(suffixes)})
    return [RemoteRecording(url, path, files) for path, files in sorted(found.items())]


def _open(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        return url_to_fs(url)
    except Exception as error:  # no such protocol, no package for it, no connection
        raise _unreadable(url, error) from error


def _file(path: str, info: dict[str, Any]) -> RemoteFile:
    from fsspec.utils import tokenize

    # "time" is that of the last access, in some file systems
    return RemoteFile(path, int(info.get('size') or 0), tokenize(
        {key: value for key, value in info.items() if key != 'time'}))


def _parents(folder: str) -> list[str]:
    parts = folder.split('/')
    return ['/'.join(parts[:end]) for end in range(1, len(parts))]


def _unreadable(url: str, error: Exception) -> BagError:
    why = one_line(error) or type(error).__name__
    return BagError(f'{printable(shown(url))} cannot be read ({why}).')
