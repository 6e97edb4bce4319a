"""The detector talks to nobody: no network and no other processes, with each CPU runtime."""

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
# ctypes asks ldconfig where libraries lie; nothing else may be started.
print([event for event in seen if "('/sbin/ldconfig', " not in event[1]])
"""


@pytest.mark.parametrize('runtime', ['openvino', 'onnxruntime', 'torch'])
def test_no_runtime_talks_to_the_network(runtime, tmp_path):
    pytest.importorskip(runtime)
    # A home of its own: there nobody has opted out of anything.
    done = subprocess.run([sys.executable, '-c', PROGRAM, runtime], capture_output=True, text=True,
                          timeout=300, env={'HOME': str(tmp_path), 'PATH': '/usr/bin:/bin'})
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == '[]'
