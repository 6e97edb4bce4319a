"""Keep freed memory, so that a training step does not fetch it from the system again."""

from __future__ import annotations

import contextlib
import ctypes

# Parameters of glibc's mallopt (malloc.h). Older versions refuse a limit above 32 MiB.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST, _LIMITS = 2 ** 31 - 1, (2 ** 30, 2 ** 25)


def keep_freed_memory() -> None:
    """Let malloc keep what this process and its later children free.

    A step allocates and frees the same hundreds of MB again. By default glibc gives large blocks
    back, and the system zeroes each of their pages anew: 27 000 pages and a fifth of a step's
    time on a CPU. The largest need of memory stays the same. Without glibc nothing happens.
    """
    with contextlib.suppress(OSError, TypeError, AttributeError):  # no GNU C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _LARGEST)
        any(mallopt(_MMAP_THRESHOLD, limit) for limit in _LIMITS)
