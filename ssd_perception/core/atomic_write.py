"""Write a file whole, or leave the one that was there; never through a link."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def open_new(path: str | os.PathLike) -> BinaryIO:
    """Open ``path`` for writing as a file that did not exist before.

    What a killed process left under that name is removed first: a link itself, never its target.

    Raises:
        OSError: from the system, also when something takes the name meanwhile (O_EXCL).
    """
    Path(path).unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o666), 'wb')


def make_folder(path: Path) -> Path:
    """Make a folder for own files, and those above it; one that is there may be no link.

    Raises:
        OSError: from the system, or naming the link: its target is another's.
    """
    if path.is_symlink():
        raise FileExistsError(f'{path}, which is to hold files of this command, is a link; '
                              'remove it.')
    path.mkdir(parents=True, exist_ok=True)
    return path


def atomic_write(path: str | os.PathLike, data: bytes | bytearray | memoryview,
                 shared: bool = False) -> Path:
    """Write ``data`` to ``path``; a crash, a full disk or a power failure leaves the old file.

    Args:
        shared: other processes may write the same file at the same time, as in a cache.

    Returns:
        ``path``.

    Raises:
        OSError: from the system, for example for a full disk; it names ``path``.
    """
    path = Path(path)
    # A name per process where several write at once; else the same one, so that what a killed
    # process left behind is removed by the next.
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial' if shared
                             else f'{path.name}.partial')
    try:
        with open_new(partial) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.filename is None:  # write() and fsync() name no file
            error.filename = os.fspath(path)
        raise
    finally:
        partial.unlink(missing_ok=True)
    return path
