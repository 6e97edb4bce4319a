"""Errors whose message is one sentence for the person who uses the package."""

from __future__ import annotations

import os
from pathlib import Path


class UserError(Exception):
    """Base class: the message names the thing, what was expected and what to do.

    The command line prints the message alone; any other exception is a fault of the package and
    is shown with its traceback.
    """


class SettingError(UserError, ValueError):
    """An argument, a setting or a parameter has an impossible value; the message names it."""


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
