"""A decoded frame's memory serves the next frame; what loading took is given back."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytest.importorskip('rclpy')

FAULTS = """
import pathlib, re, resource, sys, threading
import cv2, numpy as np
from ssd_perception.core.memory import give_back_freed_memory, keep_freed_memory
if sys.argv[1] == 'keep':
    assert keep_freed_memory(block=32 << 20, unused=64 << 20)
blob = cv2.imencode('.jpg', np.zeros((1080, 1920, 3), np.uint8))[1]
def decode(count):
    for _ in range(count):
        cv2.imdecode(blob, cv2.IMREAD_COLOR)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def frames():
    before = decode(5)
    print((decode(20) - before) // 20)
worker = threading.Thread(target=frames)  # malloc has areas of its own for threads
worker.start()
worker.join()
def resident_mb():
    status = pathlib.Path('/proc/self/status').read_text()
    return int(re.search(r'VmRSS:[^0-9]+([0-9]+)', status)[1]) // 1000
blocks = [bytearray(b'1') * (1 << 20) for _ in range(40)]
del blocks
before = resident_mb()
give_back_freed_memory()
print(before - resident_mb())
"""


def measured(mode: str) -> list[int]:
    """Return the pages mapped anew for each decoded frame, and the MB that are given back."""
    return [int(line) for line in subprocess.run(
        [sys.executable, '-c', FAULTS, mode], check=True, capture_output=True,
        text=True).stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='other C libraries differ')
def test_frames_do_not_map_their_memory_anew_and_what_loading_took_is_given_back():
    (kept, given_back), (left, _) = measured('keep'), measured('leave')
    assert kept < 50 < 500 < left
    assert given_back > 30, 'it was kept for frames'
