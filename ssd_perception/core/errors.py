"""Errors whose message is one sentence for the person who uses the package."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from ssd_perception.core.text import visible


class UserError(Exception):
    """Base class: the message names the thing, what was expected and what to do.

    The command line prints the message alone; any other exception is a fault of the package and
    is shown with its traceback. As text it is printable: it quotes names of files and topics,
    which others have chosen, and goes to terminals and logs.
    """

    @property
    def hint(self) -> str:
        """What is added to the message for who typed the command, and for nobody else: it may name
        files, and looks for them only then."""
        return ''

    def __str__(self) -> str:
        return visible(super().__str__())


class SettingError(UserError, ValueError):
    """An argument, a setting or a parameter has an impossible value; the message names it."""


_ADVICE = {
    errno.ENOSPC: 'make room there, or choose another folder',
    errno.EDQUOT: 'make room in your quota, or choose another folder',
    errno.EFBIG: 'the disk, or a limit, allows no larger file; choose another folder',
    errno.EROFS: 'choose a folder that can be written',
    errno.EIO: 'the disk may be broken; choose another one'}


def describe_os_error(error: OSError) -> str:
    """Return a system's error in one sentence; of a full or broken disk with what to do."""
    advice = _ADVICE.get(error.errno or 0)
    if advice is None:
        known = error.filename is not None and error.strerror
        return f'{error.filename} cannot be used: {error.strerror}.' if known else str(error)
    where = 'A file' if error.filename is None else str(error.filename)
    done = 'read or written' if error.errno == errno.EIO else 'written'
    return f'{where} could not be {done} ({error.strerror}): {advice}.'


_NO_MEMORY = re.compile('(allocate|not enough|out of|insufficient) memory|bad_alloc|failed to map '
                        'segment', re.IGNORECASE)


def describe_lack_of_memory(error: BaseException) -> str:
    """Return a sentence where memory did not suffice; empty for any other error.

    Python, torch, OpenCV, OpenVINO and the loader of libraries have no class in common for it.
    """
    text = ' '.join(str(error)[:5000].split())
    if not isinstance(error, MemoryError) and not _NO_MEMORY.search(text):
        return ''
    return (f'The memory does not suffice ({text[:200] or type(error).__name__}): free some, or '
            "allow more (ulimit -v, the container's limit).")


class DataError(UserError, ValueError):
    """A data folder or a file in it cannot be used; the message names it.

    Attributes:
        file: the file with the error; None when the message is about something else.
        problem: which of ``datacheck.problems.KINDS`` it is.
    """

    def __init__(self, message: str, file: str | os.PathLike | None = None,
                 problem: str = 'unreadable annotation'):
        super().__init__(message)
        self.file = None if file is None else Path(file)
        self.problem = problem
