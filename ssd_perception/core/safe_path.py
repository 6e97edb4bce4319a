"""Files that a user or a data set named: regular files where they should be, and nothing else."""

from __future__ import annotations

import difflib
import itertools
import os
import stat
from pathlib import Path, PurePosixPath

from ssd_perception.core.errors import DataError
from ssd_perception.core.text import printable

_MOST_NAMES = 10_000  # of a folder, in which a name like the one that was typed is looked for


def regular_file(path: str | os.PathLike) -> Path:
    """Return the absolute path of a regular file.

    An absolute path is no URL to any library: ``tcp:host:80?.mp4`` becomes the name of a file.

    Raises:
        DataError: when there is nothing, or a folder, a device or a pipe, which would block.
    """
    absolute = Path(os.path.abspath(os.path.expanduser(path)))
    try:
        mode = absolute.stat().st_mode
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, 'strerror', None) or str(error)
        raise DataError(f'{path} cannot be opened: {reason}.', path) from error
    if not stat.S_ISREG(mode):
        raise DataError(f'{path} is no regular file; give a file on a disk.', path)
    return absolute


def did_you_mean(path: Path) -> str:
    """Return `` Did you mean X?`` with the name beside ``path`` that is most like it, or ``''``.

    For who typed the path: over the network it would give the names of files away.
    """
    try:
        with os.scandir(path.expanduser().parent) as entries:
            names = [entry.name for entry in itertools.islice(entries, _MOST_NAMES)
                     if entry.name != path.name]
    except (OSError, ValueError, RuntimeError):
        return ''
    near = difflib.get_close_matches(path.name, names, 1)
    return f' Did you mean {printable(path.with_name(near[0]), 1000)}?' if near else ''


def open_regular(path: str | os.PathLike, flags: int) -> int:
    """Open a regular file; for ``open(path, opener=open_regular)``.

    Raises:
        OSError: also when it is no regular file (any more): a pipe would block.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError('it is no regular file')
    return descriptor


def read_file(path: str | os.PathLike, most_bytes: int) -> bytes:
    """Return a regular file's content, whatever happens to the file meanwhile.

    Raises:
        OSError: when it cannot be opened, is no regular file, or has more bytes.
    """
    with open(path, 'rb', opener=open_regular) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(f'it has more than {most_bytes} bytes')
    return data


def inside(folder: str | os.PathLike, name: str) -> Path:
    """Return the path of the file ``name`` in ``folder``, which may not lie elsewhere.

    Args:
        name: from a list, a database or metadata in the folder, with ``/`` between its parts.

    Raises:
        DataError: for an absolute name, one with ``..``, or one that leads out over a link.
    """
    parts = PurePosixPath(name).parts
    path = Path(folder, name)
    if not parts or parts[0] == '/' or '..' in parts or '\0' in name:
        raise DataError(f'"{name[:200]}" is not the name of a file inside {folder}.', path)
    # A link within the folder is fine, and so is a folder that is a link itself.
    if _has_link(folder, parts) and not os.path.realpath(path).startswith(
            os.path.join(os.path.realpath(folder), '')):
        raise DataError(f'{path} is a link that leads out of {folder}; copy the file there.', path)
    return path


def _has_link(folder: str | os.PathLike, parts: tuple[str, ...]) -> bool:
    """Return whether one of the parts of a path below ``folder`` is a link."""
    path = os.fspath(folder)
    for part in parts:
        path = os.path.join(path, part)
        if os.path.islink(path):
            return True
    return False
