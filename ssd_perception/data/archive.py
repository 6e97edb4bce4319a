"""Unpack a zip archive with a data set, within bounds and nowhere but into its own folder."""

from __future__ import annotations

import atexit
import errno
import functools
import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ssd_perception.core.errors import DataError
from ssd_perception.core.memory import available_bytes
from ssd_perception.core.safe_path import open_regular
from ssd_perception.core.safe_zip import MEMORY_OVER_LIST, open_zip
from ssd_perception.core.text import printable
from ssd_perception.data.folder import HIDDEN
from ssd_perception.data.sample import IMAGE_SUFFIXES, OTHER_SUFFIXES

# Of data sets, and of what is named because it is not read.
SUFFIXES = (*IMAGE_SUFFIXES, *OTHER_SUFFIXES, '.xml', '.json', '.txt', '.yaml', '.yml', '.names',
            '.labels', '.data', '.csv', '.zip')
MAX_FILES = 2_000_000  # in an archive
# Of the list that names them: 46 bytes, the name and mostly 24 more for each file.
MAX_LIST_BYTES = 130 * MAX_FILES
MAX_RATIO = 100  # of unpacked to packed bytes; images are packed already, texts 10 to 20 times
FREE_BYTES = 1_000_000_000  # left on the disk
_FLOOR = 100_000_000  # unpacked bytes that any archive may have
_MARK = '.unpacked'  # holds the digest of the archive that a folder came from
_CHUNK = 1 << 20
_UTF8_FLAG = 0x800
# Names that no folder can hold beside each other, or at all.
_OF_NAMES = {errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL,
             errno.ENOTEMPTY}


def unpacked(path: Path) -> Path:
    """Return the folder with what a zip archive holds, unpacked at the first call.

    It is ``NAME_unpacked`` beside ``NAME.zip`` and serves later calls until the archive changes;
    where that folder cannot be written, a temporary one that is gone when the process ends.
    Only files that data sets have are unpacked.

    Raises:
        DataError: naming the archive, when it is none, or has too many files or bytes, links, or
            names that lead out of it.
        OSError: from the system, for example for a full disk.
    """
    state = path.stat()
    place = path.parent.resolve() / path.name  # without "..", which every message would repeat
    return _unpacked(place, state.st_mtime_ns, state.st_size)


@functools.cache  # for one state of the file: reading ten thousand names takes a while
def _unpacked(path: Path, modified: int, size: int) -> Path:
    try:
        most = max(1_000_000, min(MAX_LIST_BYTES, available_bytes() // MEMORY_OVER_LIST))
        with open(path, 'rb', opener=open_regular) as file, open_zip(file, most) as archive:
            members = _members(path, archive)
            digest = _digest(members)
            folder = path.with_name(path.stem + '_unpacked')
            if _unpacked_from(folder) == digest:
                return folder
            if folder.exists():
                raise DataError(f'{folder} exists and is not what {path.name} unpacks to; rename '
                                'it or remove it.', folder)
            parent = path.parent
            if not os.access(parent, os.W_OK):
                parent = Path(tempfile.mkdtemp(prefix='ssd_perception_'))
                atexit.register(shutil.rmtree, parent, ignore_errors=True)
            return _unpack(path, archive, members, parent / folder.name, digest)
    except OSError as error:
        if error.errno in _OF_NAMES or error.errno is None:  # None: of a decompressor
            raise DataError(f'{path} cannot be unpacked: {printable(error.strerror or error)}: '
                            f'{printable(error.filename or "damaged data", 300)}.',
                            path) from error
        raise
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise DataError(f'{path} cannot be unpacked: {printable(str(error))}.', path) from error


def _members(path: Path, archive: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, Path]]:
    """Return what is unpacked, and where to below the folder."""
    members, total = [], 0
    if len(archive.infolist()) > MAX_FILES:
        raise DataError(f'{path} holds more than {MAX_FILES} files.', path)
    for info in archive.infolist():
        parts = _parts(info)
        if '..' in parts or stat.S_ISLNK(info.external_attr >> 16):
            raise DataError(f'{path} is not unpacked: its file {printable(info.filename)} leads '
                            'out of it.', path)
        if not parts or info.is_dir() or any(part.startswith(HIDDEN) for part in parts) \
                or not parts[-1].lower().endswith(SUFFIXES):
            continue
        total += info.file_size
        members.append((info, Path(*parts)))
    limit = max(_FLOOR, MAX_RATIO * path.stat().st_size)
    if total > limit:
        raise DataError(f'{path} is not unpacked: it would become {total} bytes, more than '
                        f'{limit}, {MAX_RATIO} times its size.', path)
    return members


def _parts(info: zipfile.ZipInfo) -> tuple[str, ...]:
    """Return a member's name as parts, with its bytes kept where they are not UTF-8."""
    name = info.filename
    if not info.flag_bits & _UTF8_FLAG:
        try:
            name = os.fsdecode(name.encode('cp437'))
        except UnicodeEncodeError:
            pass  # named by the archive's extra field of Unicode names
    name = name.replace('\\', '/')
    return tuple(part for part in PurePosixPath(name).parts if part not in ('/', '//', '.'))


def _digest(members: Sequence[tuple[zipfile.ZipInfo, Path]]) -> str:
    digest = hashlib.sha256()
    for info, place in members:
        digest.update(os.fsencode(place) + b'\0%d %d\n' % (info.file_size, info.CRC))
    return digest.hexdigest()


def _unpacked_from(folder: Path) -> str | None:
    try:
        return (folder / _MARK).read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError):
        return None


def _unpack(path: Path, archive: zipfile.ZipFile, members: Sequence[tuple[zipfile.ZipInfo, Path]],
            folder: Path, digest: str) -> Path:
    total = sum(info.file_size for info, _ in members)
    free = shutil.disk_usage(folder.parent).free
    if total + FREE_BYTES > free:
        raise DataError(f'{path} is not unpacked: {folder.parent} has {free} bytes free, and '
                        f'{total} and {FREE_BYTES} more are needed.', path)
    partial = Path(tempfile.mkdtemp(prefix=f'.{folder.name}.', dir=folder.parent))
    try:
        for info, place in members:
            target = partial / place
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, open(target, 'wb') as file:
                shutil.copyfileobj(source, file, _CHUNK)  # never more than the stated size
        (partial / _MARK).write_text(digest, encoding='utf-8')
        partial.chmod(0o755)
        try:
            partial.rename(folder)
        except OSError:
            if _unpacked_from(folder) != digest:  # else another process was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
