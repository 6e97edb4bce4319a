"""Open zip archives whose list of members has bounds, and refuse compressed tensors."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

# zipfile needs up to so many times the bytes of the list: some 50 bytes become an object.
MEMORY_OVER_LIST = 40
_MOST_LIST_BYTES = 1_000_000  # of an archive of tensors: thousands of them


class _Bounded:
    """A file of which at most so many bytes are read at once, as zipfile reads the list."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._file, self._most = file, most
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if size > self._most:
            raise zipfile.BadZipFile(f'its list of members has {size} bytes, and {self._most} '
                                     'may be read')
        return self._file.read(size)

    def seekable(self) -> bool:
        return True


def open_zip(file: BinaryIO, most_list_bytes: int) -> zipfile.ZipFile:
    """Open an archive, unless the list of its members has too many bytes.

    Args:
        most_list_bytes: at least a million; what is larger is refused before it is read.

    Raises:
        zipfile.BadZipFile, NotImplementedError, OSError: half a sentence.
    """
    return zipfile.ZipFile(_Bounded(file, most_list_bytes))


def check_stored(file: BinaryIO, size: int) -> None:
    """Check that an archive of ``size`` bytes unpacks to no more than it has.

    Raises:
        ValueError: half a sentence: it is none, or a member is compressed or lies about its size.
    """
    try:
        with open_zip(file, _MOST_LIST_BYTES) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise ValueError('is damaged, or no archive of tensors') from error
    file.seek(0)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) \
            or sum(member.file_size for member in members) > size:
        raise ValueError('holds compressed data, which none of its kind does')
