"""Signals that end a program, and the programs that it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
from collections.abc import Iterator

_PR_SET_PDEATHSIG = 1  # prctl(2)
# Looked up here: between fork and exec another thread's lock of the loader may be held for ever.
_prctl = getattr(ctypes.CDLL(None), 'prctl', None) if os.name == 'posix' else None


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end a program as Ctrl-C does: by KeyboardInterrupt, so that it cleans up.

    Python takes signals in its main thread alone; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def end_with_parent(parent: int) -> None:
    """Let Linux kill this process when its parent ends, however that ends; called in a child.

    Linux does so as soon as the thread ends that started the process: start it in one that waits
    for it, or in the main one.

    Args:
        parent: the process that started this one. Where it has ended already, so does this one.
    """
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
