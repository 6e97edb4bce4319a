"""The detector talks to nobody: no network and no other processes, whichever runtime runs it."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
seen = []
def watch(event, arguments):
    if event in ('socket.connect', 'socket.getaddrinfo', 'subprocess.Popen', 'os.fork',
                 'os.posix_spawn'):
        seen.append((event, str(arguments)[:200]))
sys.addaudithook(watch)
import numpy as np
from ssd_perception.inference.detector import Detector
detector = Detector.from_weights('rover', runtime=sys.argv[1], device='cpu')
detector([np.zeros((48, 64, 3), np.uint8)])
# Only those that a library starts on its own count: some ask the system for its processor.
print([event for event in seen if 'lscpu' not in event[1] and 'ldconfig' not in event[1]])
"""


@pytest.mark.parametrize('runtime', ['openvino', 'onnxruntime', 'torch'])
def test_no_runtime_talks_to_the_network(runtime, tmp_path):
    pytest.importorskip(runtime)
    # A home of its own: there nobody has opted out of anything.
    done = subprocess.run([sys.executable, '-c', PROGRAM, runtime], capture_output=True, text=True,
                          timeout=300, env={'HOME': str(tmp_path), 'PATH': '/usr/bin:/bin'})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == '[]'
