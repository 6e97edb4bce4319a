"""Load and run weights in a child process first, under limits of time and memory.

A file from an unknown source may hang a runtime, fill the memory or crash: then only the child is
lost.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ssd_perception.core.errors import UserError
from ssd_perception.core.metadata import WeightsError
from ssd_perception.core.text import one_line

TRIAL_WITHIN_S = 120.0
MAX_BYTES = 4 << 30
_POLL_S = 0.02
_REFUSED = 3  # exit code: the sentence is on stdout


def try_weights(path: Path, runtime: str = 'auto', device: str = 'auto', precision: str = 'auto',
                batch: int = 1, within_s: float | None = None,
                max_bytes: int | None = None) -> None:
    """Load ``path`` and run it once for each batch size up to ``batch``, in a child process.

    Args:
        runtime, device, precision: as ``Detector`` takes them.
        within_s: limit, s; None for ``TRIAL_WITHIN_S``.
        max_bytes: resident memory that the child may use; None for ``MAX_BYTES``, or three
            quarters of what is free where that is less.

    Raises:
        WeightsError: when the child refuses them, crashes, or goes beyond a limit.
    """
    within_s = TRIAL_WITHIN_S if within_s is None else within_s
    max_bytes = min(MAX_BYTES, _free_bytes() * 3 // 4) if max_bytes is None else max_bytes
    command = [sys.executable, '-m', __name__, str(path), '--runtime', runtime, '--device', device,
               '--precision', precision, '--batch', str(batch)]
    with tempfile.TemporaryFile() as output:  # a pipe would be full at some time
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                              stderr=subprocess.DEVNULL, start_new_session=True) as child:
            try:
                reason = _watch(child, within_s, max_bytes)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
        output.seek(0)
        said = output.read(10_000).decode(errors='replace')
    if child.returncode == _REFUSED and not reason:
        raise WeightsError(one_line(said))
    if reason or child.returncode:
        raise WeightsError(f'{path} was tried in a child process, which '
                           f'{reason or f"ended with code {child.returncode}"}; it is not used.')


def _watch(child: subprocess.Popen, within_s: float, max_bytes: int) -> str:
    """Wait for the child; return what was wrong with it, empty when it ended by itself."""
    end = time.monotonic() + within_s
    while child.poll() is None:
        if time.monotonic() > end:
            return f'had not ended after {within_s:g} s'
        if (used := _resident_bytes(child.pid)) > max_bytes:
            return (f'used {used / 1e9:.1f} GB of memory, more than the '
                    f'{max_bytes / 1e9:.1f} GB allowed')
        time.sleep(_POLL_S)
    return ''


def _resident_bytes(pid: int) -> int:
    # proc(5): the second number is the resident set, in pages.
    try:
        pages = Path(f'/proc/{pid}/statm').read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf('SC_PAGE_SIZE')


def _free_bytes() -> int:
    """Return the memory that is available without swapping; much where the system does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path('/proc/meminfo').read_text().splitlines():
            if line.startswith('MemAvailable:'):
                return int(line.split()[1]) * 1024
    return MAX_BYTES * 2


def main() -> int:
    """Be the child."""
    with contextlib.suppress(OSError):  # let the system take this process first
        Path('/proc/self/oom_score_adj').write_text('1000')
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('path')
    for name in ('runtime', 'device', 'precision'):
        parser.add_argument(f'--{name}', default='auto')
    parser.add_argument('--batch', type=int, default=1)
    args = parser.parse_args()
    from ssd_perception.inference.detector import Detector
    try:
        detector = Detector(args.path, args.runtime, args.device, args.precision)
        for batch in range(1, args.batch + 1):
            detector.warm_up(batch)
    except (UserError, OSError) as error:
        print(one_line(error))
        return _REFUSED
    return 0


if __name__ == '__main__':
    code = main()
    sys.stdout.flush()
    os._exit(code)  # an interpreter with a runtime in it takes long to dissolve
