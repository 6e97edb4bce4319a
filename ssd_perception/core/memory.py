"""Memory that is left to this process, so that what would not fit is refused in a sentence."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

_MUCH = 1 << 40  # where the system does not say
_CGROUP = Path('/sys/fs/cgroup')


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
