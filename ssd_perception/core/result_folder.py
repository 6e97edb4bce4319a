"""A result folder that is complete or not there."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

MARK = 'summary.json'


@contextlib.contextmanager
def result_folder(path: str | os.PathLike, mark: str = MARK) -> Iterator[Path]:
    """Lend a temporary folder beside ``path`` that takes its place when all went well.

    Args:
        mark: a file that every result of this kind has: what holds it may be replaced.

    Raises:
        FileExistsError: when ``path`` holds something that is no earlier result, which a
            mistyped path must not cost.
    """
    path = Path(path).expanduser().absolute()
    check_replaceable(path, mark)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}.partial')
    old = path.with_name(f'.{path.name}.{os.getpid()}.old')
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            path.rename(old)
        partial.rename(path)
    except OSError as error:
        if error.filename is None:  # write() names no file: a full disk
            error.filename = os.fspath(path)
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def check_replaceable(path: Path, mark: str = MARK) -> None:
    """Raise FileExistsError unless ``path`` is absent, an empty folder or an earlier result."""
    if not path.exists():
        return
    if not path.is_dir() or (any(path.iterdir()) and not (path / mark).is_file()):
        raise FileExistsError(f'{path} exists and is no earlier result (it has no {mark}); '
                              'choose another folder.')
