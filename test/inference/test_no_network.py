"""The detector talks to nobody: no network and no other processes, with each CPU runtime."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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
if sys.argv[2:]:
    import time
    time.sleep(float(sys.argv[2]))
# ctypes asks ldconfig where libraries lie; nothing else may be started.
print([event for event in seen if "('/sbin/ldconfig', " not in event[1]])
"""
SENT_WITHIN_S = 20  # a library may wait for more before it sends a report
RUNTIMES = ['openvino', 'onnxruntime', 'torch', 'opencv']
QUANTISE = """
import ssd_perception.inference.quantise
import onnxruntime
onnxruntime.get_available_providers()
"""


@pytest.fixture
def environment(tmp_path):
    """A home of its own, which can be written: there nobody has opted out of anything."""
    (tmp_path / 'home').mkdir()
    return {'HOME': str(tmp_path / 'home'), 'PATH': '/usr/bin:/bin',
            'PYTHONPATH': str(Path(__file__).parents[2])}


def left_behind(environment):
    """Return the files in that home but our own, such as identifiers and reports to be sent."""
    home = Path(environment['HOME'])
    return [path for path in home.rglob('*')
            if path.is_file() and home / '.cache' / 'ssd_perception' not in path.parents]


@pytest.mark.parametrize('runtime', RUNTIMES)
def test_no_runtime_talks_to_the_network(runtime, environment):
    pytest.importorskip({'opencv': 'cv2'}.get(runtime, runtime))
    done = subprocess.run([sys.executable, '-c', PROGRAM, runtime], capture_output=True, text=True,
                          timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == '[]'
    assert left_behind(environment) == []


@pytest.mark.slow
@pytest.mark.parametrize('runtime', RUNTIMES)
def test_nor_do_its_libraries(runtime, environment, tmp_path):
    """Libraries that are not Python connect without Python's knowledge; the kernel knows."""
    pytest.importorskip({'opencv': 'cv2'}.get(runtime, runtime))
    if not shutil.which('strace'):
        pytest.skip('strace is not installed')
    log = tmp_path / 'strace'
    done = subprocess.run(['strace', '-f', '-o', log, '-e', 'trace=connect,sendto,sendmsg',
                           sys.executable, '-c', PROGRAM, runtime, str(SENT_WITHIN_S)],
                          capture_output=True, text=True, timeout=300, env=environment)
    if not log.is_file() or 'ptrace' in done.stderr:
        pytest.skip(f'strace may not trace here: {done.stderr[:200]}')
    assert done.returncode == 0, done.stderr
    assert not [line for line in log.read_text().splitlines() if 'AF_INET' in line]


def test_quantising_does_not_either(environment):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnx')
    subprocess.run([sys.executable, '-c', QUANTISE], check=True, timeout=300, env=environment)
    assert left_behind(environment) == []


def test_whoever_wants_the_telemetry_of_onnx_runtime_may_have_it():
    done = subprocess.run(
        [sys.executable, '-c', 'import os, ssd_perception.inference\n'
         'print(os.environ["ORT_DISABLE_TELEMETRY"])'], capture_output=True, text=True,
        env={**os.environ, 'ORT_DISABLE_TELEMETRY': '0'}, timeout=60)
    assert done.stdout == '0\n'
