"""Memory of this process: what is left to it, what it holds, and what it keeps when freed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
from pathlib import Path

_MUCH = 1 << 40  # where the system does not say
_CGROUP = Path('/sys/fs/cgroup')
# Parameters of glibc's mallopt (malloc.h), and the largest threshold that its older versions take.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_OLD_LARGEST = 32 << 20


def available_bytes() -> int:
    """Return the memory that is available without swapping: of the machine, within the limits
    of a container and of this process; much where the system says nothing of it.
    """
    found = [_MUCH]
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path('/proc/meminfo').read_text().splitlines():
            if line.startswith('MemAvailable:'):
                found.append(int(line.split()[1]) * 1024)
    with contextlib.suppress(OSError, ValueError, KeyError):  # "max" without a limit
        state = dict(line.split() for line in
                     (_CGROUP / 'memory.stat').read_text().splitlines())
        files = int(state['active_file']) + int(state['inactive_file'])  # freed when needed
        found.append(int((_CGROUP / 'memory.max').read_text()) + files
                     - int((_CGROUP / 'memory.current').read_text()))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = int(Path('/proc/self/statm').read_text().split()[0])
            found.append(limit - pages * resource.getpagesize())
    return max(0, min(found))


def resident_bytes(pid: int) -> int:
    """Return what a process holds of the memory by itself; 0 where the system does not say."""
    # proc(5): the second number is the resident set, in pages; the third is what of it files
    # hold, as the runtimes' libraries do, which the system can take back.
    try:
        _, resident, shared = Path(f'/proc/{pid}/statm').read_text().split()[:3]
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * resource.getpagesize()


def keep_freed_memory(block: int, unused: int) -> bool:
    """Let malloc keep what this process and its later children free.

    By default glibc gives large blocks back, and the system zeroes their pages anew at the next
    use.

    Args:
        block: size of the largest block that is kept, bytes; 32 MiB where glibc refuses more.
        unused: how much may be kept that nothing uses, bytes.

    Returns:
        Whether this C library has these settings.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # no GNU C library
        return False
    kept = any(mallopt(_MMAP_THRESHOLD, size) for size in (block, min(block, _OLD_LARGEST)))
    return bool(mallopt(_TRIM_THRESHOLD, unused)) and kept


def give_back_freed_memory() -> None:
    """Give the system what ``keep_freed_memory`` keeps, such as what loading a network took."""
    with contextlib.suppress(OSError, TypeError, AttributeError):  # no GNU C library
        ctypes.CDLL(None).malloc_trim(0)


class Growth:
    """Notices when this process has grown by ``MOST_BYTES``, or by half of what was free."""

    MOST_BYTES = 1 << 30

    def __init__(self) -> None:
        self._for: object = None
        self._limit = 0

    def is_large(self, kept: object) -> bool:
        """Return whether it has grown so much since ``kept`` changed, or since the last True.

        Args:
            kept: what the process holds on purpose, of any size.
        """
        now, same = resident_bytes(os.getpid()), kept is self._for
        if same and now <= self._limit:
            return False
        self._for, self._limit = kept, now + min(self.MOST_BYTES, available_bytes() // 2)
        return same

    def begin(self) -> None:
        """Take the size at the next call as the one to begin with."""
        self._for = None
