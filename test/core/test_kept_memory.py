"""Memory that a step frees is there for the next one."""

import subprocess
import sys

import pytest

from ssd_perception.core import memory

PROGRAM = """
import platform, resource
import numpy as np
from ssd_perception.core.memory import keep_freed_memory
assert platform.libc_ver()[0] == 'glibc'
if {keep}:
    keep_freed_memory(block=1 << 30, unused=2 ** 31 - 1)
def step():
    kept = [np.ones(n, np.uint8) for n in (50_000_000, 3_000_000, 9_000_000)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='only glibc has mallopt')
def test_freed_memory_is_used_again():
    # A page has 4 kB at least, also where the system uses larger ones for some.
    faults = {keep: int(subprocess.run([sys.executable, '-c', PROGRAM.format(keep=keep)],
                                       check=True, capture_output=True, text=True).stdout)
              for keep in (False, True)}
    assert faults[True] < faults[False] / 10, faults


@pytest.mark.parametrize('error', [OSError, TypeError])  # no library to open; Windows
def test_another_c_library_is_left_as_it_is(monkeypatch, error):
    def refuse(name):
        raise error
    monkeypatch.setattr(memory.ctypes, 'CDLL', refuse)
    assert not memory.keep_freed_memory(block=1 << 30, unused=1 << 30)
