"""Verbs in processes that begin with torch loaded: a new process imports it for seconds, a fork
of one that has it takes hundredths of a second. All else is a process's own: signals, limits of
its files, mounts, exit code.
"""

import atexit
import ctypes
import multiprocessing
import os
import resource
import sys
import time
from pathlib import Path
from unittest import mock

from ssd_perception.__main__ import main

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000

_context = multiprocessing.get_context('forkserver')
_context.set_forkserver_preload(['ssd_perception.training.run'])


class Forked:
    """``function(*arguments)`` in a process and a session of its own.

    Args:
        folder: where its stdout and stderr go.
        environment: variables to set.
        file_limit: bytes that a file of it may have.
        shm: size of a /dev/shm of its own, as in a container; takes root.
    """

    def __init__(self, folder: Path, function, *arguments, environment=None, file_limit=None,
                 shm=None):
        outputs = [folder / f'{time.monotonic_ns()}.{name}' for name in ('out', 'err')]
        self._outputs = outputs
        self._process = _context.Process(
            target=_run, args=(outputs, environment or {}, file_limit, shm, function, arguments))
        # read by the server, which the first process starts
        with mock.patch.dict(os.environ, OMP_NUM_THREADS='1'):
            self._process.start()
        atexit.register(self.kill)  # of a test that failed: multiprocessing waits for its end

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout=60) -> tuple[str, str]:
        """Wait for the end; return stdout and stderr. Kills it, and fails, where it takes longer.
        """
        self._process.join(timeout)
        late = self.returncode is None
        if late:
            self.kill()
        out, err = (path.read_text() if path.exists() else '' for path in self._outputs)
        assert not late, f'it did not end within {timeout} s: {err}'
        return out, err

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def verb(*words):
    """Return the arguments of :class:`Forked` for a verb."""
    return main, list(map(str, words))


def _run(outputs, environment, file_limit, shm, function, arguments):
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # the default one, not the fork server
    for number, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.update(environment)
    if file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    if shm is not None:
        _mount_shm(shm)
    sys.exit(function(*arguments))


def _mount_shm(size: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for failed in (libc.unshare(CLONE_NEWNS),
                   libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None),
                   libc.mount(b'tmpfs', b'/dev/shm', b'tmpfs', 0, f'size={size}'.encode())):
        if failed:
            raise OSError(ctypes.get_errno(), 'no /dev/shm of its own')
