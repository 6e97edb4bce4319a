"""Write a file whole, or leave the one that was there."""

from __future__ import annotations

import os
from pathlib import Path


def atomic_write(path: str | os.PathLike, data: bytes | bytearray | memoryview,
                shared: bool = False) -> Path:
    """Write ``data`` to ``path``; a crash, a full disk or a power failure leaves the old file.

    Args:
        shared: other processes may write the same file at the same time, as in a cache.

    Returns:
        ``path``.

    Raises:
        OSError: from the system, for example for a full disk.
    """
    path = Path(path)
    # A name per process where several write at once; else the same one, so that what a killed
    # process left behind is written over by the next.
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial' if shared
                             else f'{path.name}.partial')
    try:
        with open(partial, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
