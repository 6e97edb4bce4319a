"""Zip files that torch and numpy write store all as it is: anything compressed is no such file."""

from __future__ import annotations

import zipfile
from typing import BinaryIO


def check_stored(file: BinaryIO, size: int) -> None:
    """Check that an archive of ``size`` bytes unpacks to no more than it has.

    Raises:
        ValueError: half a sentence: it is none, or a member is compressed or lies about its size.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise ValueError('is damaged, or no archive of tensors') from error
    file.seek(0)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) \
            or sum(member.file_size for member in members) > size:
        raise ValueError('holds compressed data, which none of its kind does')
