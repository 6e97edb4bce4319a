"""A result folder that is complete or not there."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

MARK = 'summary.json'
# Errors of a disk, which the system reports without a name where a file is open already.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
# What libraries say in errors of their own.
_FULL = ('disk is full', 'no space left')


@contextlib.contextmanager
def result_folder(path: str | os.PathLike, mark: str = MARK) -> Iterator[Path]:
    """Lend a temporary folder beside ``path`` that takes its place when all went well.

    Args:
        mark: a file that every result of this kind has: what holds it may be replaced.

    Raises:
        FileExistsError: when ``path`` holds something that is no earlier result, which a
            mistyped path must not cost.
        OSError: from the system, for example for a full disk; it names the folder.
    """
    path = Path(path).expanduser().absolute()
    check_replaceable(path, mark)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, old = _made(path)
    try:
        with naming_folder(path):
            yield partial
        if path.exists():
            path.rename(old)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if old.is_symlink():  # the folder was a link: that one goes, not what it leads to
            old.unlink()
        shutil.rmtree(old, ignore_errors=True)


def _made(path: Path) -> tuple[Path, Path]:
    """Make a temporary folder; return it and a free name for what is replaced.

    A killed process may have left its own, and in a container its number comes again.
    """
    for number in itertools.count():
        partial, old = (path.with_name(f'.{path.name}.{os.getpid()}.{number}.{end}')
                        for end in ('partial', 'old'))
        if os.path.lexists(old):
            continue
        with contextlib.suppress(FileExistsError):
            partial.mkdir()
            break
    return partial, old


@contextlib.contextmanager
def naming_folder(path: Path) -> Iterator[None]:
    """Let errors of a full or broken disk name the folder that was written.

    Raises:
        OSError: in place of such an error, also of a library's own kind.
    """
    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if any(words in str(error).lower() for words in _FULL):
            number = errno.ENOSPC
        if number in _DISK:
            raise OSError(number, os.strerror(number), str(path)) from error
        raise


def check_replaceable(path: Path, mark: str = MARK, sources: Iterable[Path] = ()) -> None:
    """Raise FileExistsError unless ``path`` is absent, an empty folder or an earlier result.

    Args:
        sources: what is read; none of them may lie in an earlier result, which goes at the end.
    """
    if not path.exists():
        if path.is_symlink():
            raise FileExistsError(f'{path} is a link that leads nowhere; remove it, or choose '
                                  'another folder.')
        return
    if not path.is_dir() or (any(path.iterdir()) and not (path / mark).is_file()):
        raise FileExistsError(f'{path} exists and is no earlier result (it has no {mark}); '
                              'choose another folder.')
    for source in sources:
        real = os.path.join(os.path.realpath(source.expanduser()), '')
        if real.startswith(os.path.join(os.path.realpath(path), '')):
            raise FileExistsError(f'{source} lies in {path}, whose content the result would take '
                                  'the place of; choose another folder.')
