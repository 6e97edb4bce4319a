"""A decoded frame's memory serves the next frame."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytest.importorskip('rclpy')

FAULTS = """
import resource, sys, threading
import cv2, numpy as np
from ssd_perception.ros.process import keep_freed_memory
if sys.argv[1] == 'keep':
    assert keep_freed_memory()
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
"""


def faults(mode: str) -> int:
    """Return the pages that are mapped anew for each decoded frame."""
    return int(subprocess.run([sys.executable, '-c', FAULTS, mode], check=True,
                              capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='other C libraries differ')
def test_frames_do_not_map_their_memory_anew():
    assert faults('keep') < 50 < 500 < faults('leave')
