"""Text from outside made fit for a log, a terminal, diagnostics, answers, pages and OpenCV.

Names of topics, files and classes, encodings and frame ids come from whoever may publish or hand
over a file: they can forge lines of a log, send escape sequences to a terminal, or be megabytes
long.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

MAX_LENGTH = 200
_brief = reprlib.Repr()
_brief.maxlevel = 4
_brief.maxlong = _brief.maxstring = _brief.maxother = MAX_LENGTH
_brief.maxlist = _brief.maxtuple = _brief.maxdict = _brief.maxset = MAX_LENGTH


def printable(text: object, length: int = MAX_LENGTH) -> str:
    """Return ``str(text)`` on one line: at most ``length`` characters, all of them printable.

    Control characters, surrogates (bytes of a file name that are not UTF-8) and characters that
    reorder others become escapes such as ``\\x1b``; what is too long ends in three dots.
    """
    plain = str(text)
    cut = plain[:length + 1]  # the rest is never looked at: it may be 100 MB
    if not cut.isprintable():
        cut = _escaped(cut)
    return cut if len(cut) <= length and len(plain) <= length else cut[:length - 3] + '...'


def visible(text: str) -> str:
    """Return text of any length, for a page: what is not printable, but for line ends, escaped."""
    return '\n'.join(line if line.isprintable() else _escaped(line) for line in text.split('\n'))


def _escaped(text: str) -> str:
    return ''.join(c if c.isprintable() else c.encode('unicode_escape').decode() for c in text)


def quoted(value: object, length: int = MAX_LENGTH) -> str:
    """Return ``repr(value)`` for a message, bounded as by ``printable``.

    What is nested deeply or has a million values is not walked to its end.
    """
    if isinstance(value, (str, bytes)):
        return printable(repr(value[:length + 1]), length)
    try:
        return printable(_brief.repr(value), length)
    except (ValueError, RecursionError):  # an integer of thousands of digits
        return f'a value of type {type(value).__name__}'


def one_line(error: object, length: int = 1000) -> str:
    """Return a message on one line, printable; an exception's kind where it has no message."""
    text = ' '.join(str(error)[:10 * length].split())
    kind = type(error).__name__ if isinstance(error, BaseException) else ''
    return printable(text or kind, length)


_MARKDOWN = str.maketrans({c: f'\\{c}' for c in '\\`|[<'})


def markdown(text: object) -> str:
    """Return text of any length on one line of Markdown, where it is neither HTML, a link, code
    nor the end of a cell."""
    return ' '.join(visible(str(text)).split()).translate(_MARKDOWN)


def listed(names: Sequence[str], most: int) -> str:
    """Return names with commas; of more than ``most``, the first ones and how many follow."""
    rest = len(names) - most
    return ', '.join(names[:most]) + (f' and {rest} more' if rest > 0 else '')


def counted(number: int, noun: str) -> str:
    """Return "1 error", "2 errors"."""
    return f'{number} {noun}' + 's' * (number != 1)


def describe_error(error: BaseException) -> str:
    """Return an exception's kind and message on one line; CUDA's are paragraphs, and are cut."""
    return printable(f'{type(error).__name__}: {one_line(error)}', 400)
