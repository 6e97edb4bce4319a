"""A table that is updated in place on a terminal, and plain lines everywhere else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TextIO

from ssd_perception.core.text import printable

PLAIN_EVERY_S = 2.0


class LiveTable:
    """Shows rows of name and value again and again.

    Args:
        stream: where to write; a terminal is drawn over, anything else gets one line every
            ``PLAIN_EVERY_S`` seconds.
        title: the heading on a terminal.
    """

    def __init__(self, stream: TextIO, title: str) -> None:
        self._stream, self._title = stream, printable(title)  # names of weights and recordings
        self._terminal = stream.isatty()
        self._lines = 0
        self._last = ''
        self._last_s = 0.0

    def show(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show ``rows`` now (on a terminal), or when their time has come (elsewhere).

        Names of classes and topics in them are whatever others publish; they are made printable.
        """
        rows = _clean(rows)
        if self._terminal:
            self._draw(rows)
        elif time.monotonic() - self._last_s >= PLAIN_EVERY_S:
            self._line(rows)

    def finish(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show the last state now."""
        rows = _clean(rows)
        if self._terminal:
            self._draw(rows)
        else:
            self._line(rows)

    def _draw(self, rows: Sequence[tuple[str, str]]) -> None:
        width = max((len(name) for name, _ in rows), default=0)
        lines = [f'\x1b[1m{self._title}\x1b[0m', *(
            f'  \x1b[2m{name:<{width}}\x1b[0m  {value}' for name, value in rows)]
        # Up to the first line of the table, then each line is cleared and written again.
        up = f'\x1b[{self._lines}F' if self._lines else ''
        self._stream.write(up + ''.join(f'\x1b[2K{line}\n' for line in lines) + '\x1b[J')
        self._stream.flush()
        self._lines = len(lines)

    def _line(self, rows: Sequence[tuple[str, str]]) -> None:
        line = ', '.join(f'{name} {value}' for name, value in rows if value)
        self._last_s = time.monotonic()
        if line != self._last:
            self._last = line
            print(line, file=self._stream, flush=True)


def _clean(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(printable(name), printable(value, 1000)) for name, value in rows]
