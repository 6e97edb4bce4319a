"""Load and run weights in a child process first, under limits of time and memory.

A file from an unknown source may hang a runtime, fill the memory or crash: then only the child is
lost. What has passed is recorded in the cache by its content, so it is tried once.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_perception.core.errors import UserError, describe_lack_of_memory
from ssd_perception.core.memory import available_bytes, resident_bytes
from ssd_perception.core.metadata import WeightsError
from ssd_perception.core.signals import end_with_parent
from ssd_perception.core.text import one_line, printable
from ssd_perception.inference.exported import (
    CACHE_VARIABLE,
    beside,
    cache_folder,
    is_exported,
    keep_in_cache,
)
from ssd_perception.inference.onnx_file import read_export, sha256_of
from ssd_perception.inference.resolve import is_shipped, resolve_weights
from ssd_perception.inference.runtimes import RuntimeUnavailable
from ssd_perception.inference.weights_file import read_metadata

if TYPE_CHECKING:
    import subprocess

TRIAL_WITHIN_S = 120.0
BUILD_WITHIN_S = 3600.0  # with TensorRT, which builds an engine
MAX_BYTES = 4 << 30
_POLL_S = 0.02
_REFUSED = 3  # exit code: the sentence is on stdout

_log = logging.getLogger(__name__)
_passed: set[str] = set()  # in this process, where nothing can be recorded


def ensure_tried(weights: str | os.PathLike, runtime: str = 'auto', device: str = 'auto',
                 precision: str = 'auto', batch: int = 1,
                 is_abandoned: Callable[[], bool] = lambda: False) -> None:
    """Try weights that are new here in a child process; arguments as of ``try_weights``.

    Shipped weights are not tried. Others are tried once: what has passed is recorded in the
    cache folder, by the content of every file that may be run, and by what it was run with.

    Raises:
        WeightsNotFound, WeightsError.
    """
    path = resolve_weights(weights)
    if is_shipped(path):
        return
    # Size and header first: they refuse most files without a process.
    (read_export if is_exported(path) else read_metadata)(path)
    key = _key(path, f'{runtime} {device} {precision} {batch}')
    record = _record(key)
    if key in _passed or (record is not None and record.is_file()):
        return
    _log.warning('%s is new here: it is loaded and run in a child process first, once.',
                 printable(path, 500))
    try_weights(path, runtime, device, precision, batch, is_abandoned=is_abandoned)
    _passed.add(key)
    if record is not None:
        try:
            keep_in_cache(record, b'')
        except OSError as error:
            _log.warning('%s will be tried again at the next start: %s.',
                         printable(path, 500), printable(error, 500))


def _key(path: Path, options: str) -> str:
    """Return a hash of the contents that a Detector may run for ``path``, and of the options."""
    files = [path]
    if not is_exported(path):
        files += [file for file in (beside(path, 'fp32'), beside(path, 'int8')) if file.is_file()]
    return hashlib.sha256(' '.join([*map(sha256_of, files), options]).encode()).hexdigest()


def _record(key: str) -> Path | None:
    try:
        return cache_folder() / 'tried' / key
    except RuntimeUnavailable:  # a user without a home folder
        return None


def try_weights(path: Path, runtime: str = 'auto', device: str = 'auto', precision: str = 'auto',
                batch: int = 1, within_s: float | None = None,
                max_bytes: int | None = None,
                is_abandoned: Callable[[], bool] = lambda: False) -> None:
    """Load ``path`` and run it once for each batch size up to ``batch``, in a child process.

    Args:
        runtime, device, precision: as ``Detector`` takes them.
        within_s: limit, s; None for ``TRIAL_WITHIN_S``, or ``BUILD_WITHIN_S``.
        max_bytes: resident memory that the child may use; None for ``MAX_BYTES``, or three
            quarters of what is free where that is less.
        is_abandoned: asked again and again; True ends the child.

    Raises:
        WeightsError: when the child refuses them, crashes, or goes beyond a limit.
    """
    # Only here: weights that are known start without them.
    import subprocess
    import tempfile

    if within_s is None:
        within_s = BUILD_WITHIN_S if runtime == 'tensorrt' else TRIAL_WITHIN_S
    max_bytes = min(MAX_BYTES, available_bytes() * 3 // 4) if max_bytes is None else max_bytes
    command = [sys.executable, '-m', __name__, str(path), '--runtime', runtime, '--device', device,
               '--precision', precision, '--batch', str(batch), '--parent', str(os.getpid())]
    with tempfile.TemporaryFile() as output:  # a pipe would be full at some time
        # `python -m` imports from its working directory first: not from the user's.
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, cwd='/',
                              env=_environment(), stderr=subprocess.DEVNULL,
                              start_new_session=True) as child:
            try:
                reason = _watch(child, within_s, max_bytes, is_abandoned)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
        output.seek(0)
        said = output.read(10_000).decode(errors='replace')
    if child.returncode == _REFUSED and not reason:
        raise WeightsError(one_line(said))
    if reason or child.returncode:
        raise WeightsError(f'{path} was tried in a child process, which '
                           f'{reason or _end(child.returncode)}; it is not used.')


def _end(code: int) -> str:
    if code == -signal.SIGKILL:
        return 'was killed, as the system does where memory is short'
    return f'crashed with signal {-code}' if code < 0 else f'ended with code {code}'


def _environment() -> dict[str, str]:
    """Return the environment in which the child finds the modules and the cache of this one."""
    modules = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    found = {**os.environ, 'PYTHONPATH': modules}
    with contextlib.suppress(RuntimeUnavailable):
        found[CACHE_VARIABLE] = str(cache_folder())
    return found


def _watch(child: subprocess.Popen, within_s: float, max_bytes: int,
           is_abandoned: Callable[[], bool]) -> str:
    """Wait for the child; return what was wrong with it, empty when it ended by itself."""
    end = time.monotonic() + within_s
    while child.poll() is None:
        if time.monotonic() > end:
            return f'had not ended after {within_s:g} s'
        if (used := resident_bytes(child.pid)) > max_bytes:
            return (f'used {used / 1e9:.1f} GB of memory, more than the '
                    f'{max_bytes / 1e9:.1f} GB allowed')
        if is_abandoned():
            return 'nobody waits for any more'
        time.sleep(_POLL_S)
    return ''


def main() -> int:
    """Be the child."""
    with contextlib.suppress(OSError):  # let the system take this process first
        Path('/proc/self/oom_score_adj').write_text('1000')
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('path')
    for name in ('runtime', 'device', 'precision'):
        parser.add_argument(f'--{name}', default='auto')
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--parent', type=int, required=True)
    args = parser.parse_args()
    end_with_parent(args.parent)
    from ssd_perception.inference.detector import Detector
    try:
        detector = Detector(args.path, args.runtime, args.device, args.precision)
        for batch in range(1, args.batch + 1):
            detector.warm_up(batch)
    except Exception as error:
        known = isinstance(error, (UserError, OSError))
        sentence = one_line(error) if known else describe_lack_of_memory(error)
        if not sentence:
            raise
        print(sentence)
        return _REFUSED
    return 0


if __name__ == '__main__':
    code = main()
    sys.stdout.flush()
    os._exit(code)  # an interpreter with a runtime in it takes long to dissolve
