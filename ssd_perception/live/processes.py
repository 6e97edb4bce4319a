"""Child processes that end with their parent, and whose failures come with their last output."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO

from ssd_perception.core.errors import UserError
from ssd_perception.core.signals import end_with_parent

# A node needs seconds to release its camera; a person waits at the prompt meanwhile.
GRACE_S = 5.0
_SHOWN_LINES = 5


class ProcessFailed(UserError, RuntimeError):
    """A child ended too early, failed, or did not end in time."""


@dataclass
class Child:
    """A running child: its name in messages, the process, and the file with its stderr."""

    name: str
    process: subprocess.Popen
    errors: IO[bytes]

    def last_words(self) -> str:
        """Return the last lines of its stderr."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors='replace').split('\n')
        return '\n'.join([line for line in lines if line.strip()][-_SHOWN_LINES:])


class Processes:
    """Starts children in process groups of their own; leaving the ``with`` block ends them all.

    Args:
        environment: variables added to the children's.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, **environment}
        self._children: list[Child] = []

    def start(self, name: str, command: Sequence[str], quiet: bool = False) -> Child:
        """Start a child; its stderr is kept, its stdout shown unless ``quiet``."""
        errors = tempfile.TemporaryFile()
        # A group of its own: Ctrl-C at the terminal reaches only the parent, which then ends
        # the children in order; and a signal to the group reaches grandchildren too.
        # Killed, the parent ends none of them: the system does.
        process = subprocess.Popen(command, env=self._environment, start_new_session=True,
                                   stdin=subprocess.DEVNULL, stderr=errors,
                                   stdout=subprocess.DEVNULL if quiet else None,
                                   preexec_fn=partial(end_with_parent, os.getpid()))
        self._children.append(Child(name, process, errors))
        return self._children[-1]

    def wait(self, child: Child, timeout_s: float, alive: Sequence[Child] = ()) -> None:
        """Wait for ``child`` to succeed while those in ``alive`` keep running.

        Raises:
            ProcessFailed: when it fails or takes too long, or another one ends.
        """
        end = time.monotonic() + timeout_s
        while child.process.poll() is None:
            for other in alive:
                if other.process.poll() is not None:
                    raise ProcessFailed(_ended(other))
            if time.monotonic() > end:
                raise ProcessFailed(f'The {child.name} did not end within {timeout_s:.0f} s.\n'
                                    f'{child.last_words()}'.strip())
            time.sleep(0.05)
        if child.process.returncode != 0:
            raise ProcessFailed(_ended(child))

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not leave children behind.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            for number in (signal.SIGINT, signal.SIGKILL):
                for child in self._children:
                    _signal_group(child.process, number)
                end = time.monotonic() + GRACE_S
                for child in self._children:
                    try:
                        child.process.wait(max(0.0, end - time.monotonic()))
                    except subprocess.TimeoutExpired:
                        pass
            for child in self._children:
                child.errors.close()
        finally:
            signal.signal(signal.SIGINT, before)


def _signal_group(process: subprocess.Popen, number: int) -> None:
    # SIGKILL goes to the group even when its leader is gone: grandchildren may be left.
    if process.poll() is None or number == signal.SIGKILL:
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def _ended(child: Child) -> str:
    code = child.process.returncode
    how = f'was killed by signal {-code}' if code < 0 else f'ended with exit code {code}'
    words = child.last_words()
    return f'The {child.name} {how}' + (f': {words}' if words else ' without any output.')
