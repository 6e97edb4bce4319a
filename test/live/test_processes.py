"""Children end with their parent and say why they failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from ssd_perception.live.processes import Processes, ProcessFailed

SLEEPER = [sys.executable, '-c', 'import time; time.sleep(60)']
STUBBORN = [sys.executable, '-c', 'import signal, subprocess, sys, time\n'
            'signal.signal(signal.SIGINT, signal.SIG_IGN)\n'
            'subprocess.Popen([sys.executable, "-c", "import time; time.sleep(61)"])\n'
            'print("up", flush=True)\ntime.sleep(60)']


def gone(pid):
    """Tell whether a process ended; a zombie nobody has waited for yet has ended, too."""
    try:
        with open(f'/proc/{pid}/stat') as stat:
            return stat.read().rpartition(')')[2].split()[0] == 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_all_children_end_on_an_error():
    with pytest.raises(RuntimeError), Processes({}) as processes:
        children = [processes.start('sleeper', SLEEPER) for _ in range(2)]
        raise RuntimeError('something else')
    assert all(gone(child.process.pid) for child in children)


def test_grandchildren_of_a_stubborn_child_end(monkeypatch):
    monkeypatch.setattr('ssd_perception.live.processes.GRACE_S', 0.5)
    with Processes({}) as processes:
        child = processes.start('stubborn', STUBBORN, quiet=True)
        end = time.monotonic() + 20
        grandchildren = []
        while not grandchildren and time.monotonic() < end:
            time.sleep(0.05)
            found = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(child.process.pid)],
                                   capture_output=True, text=True)
            grandchildren = [int(pid) for pid in found.stdout.split()]
        assert grandchildren
    time.sleep(0.2)
    assert gone(child.process.pid) and all(gone(pid) for pid in grandchildren)


def test_failure_of_another_is_told_with_its_last_words():
    words = 'import sys; sys.exit("the weights are broken")'
    with Processes({}) as processes:
        sleeper = processes.start('player', SLEEPER)
        node = processes.start('detector node', [sys.executable, '-c', words])
        with pytest.raises(ProcessFailed, match='detector node ended with exit code 1: the wei'):
            processes.wait(sleeper, 30, alive=(node,))


def test_timeout_and_signal_are_named():
    with Processes({}) as processes:
        sleeper = processes.start('viewer', SLEEPER)
        with pytest.raises(ProcessFailed, match='viewer did not end within'):
            processes.wait(sleeper, 0.2)
        os.kill(sleeper.process.pid, signal.SIGKILL)
        with pytest.raises(ProcessFailed, match='killed by signal 9'):
            processes.wait(sleeper, 10)


def test_success_is_silent_and_environment_arrives():
    code = 'import os, sys; sys.exit(os.environ["MARK"] != "yes")'
    with Processes({'MARK': 'yes'}) as processes:
        processes.wait(processes.start('child', [sys.executable, '-c', code]), 30)


CHILDREN = {
    'children': """
from ssd_perception.live.processes import Processes
with Processes({}) as processes:
    child = processes.start('sleeper', [sys.executable, '-c', 'import time; time.sleep(60)'])
    print(child.process.pid, flush=True)
    time.sleep(60)
""",
    'pool': """
from ssd_perception.datacheck.inspection import _pool
if __name__ == '__main__':
    pool = _pool(1)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 60)
    time.sleep(60)
"""}


@pytest.mark.parametrize('kind, number', [
    ('children', signal.SIGKILL), ('children', signal.SIGHUP), ('pool', signal.SIGKILL)])
def test_nothing_remains_of_a_command_that_is_killed(tmp_path, kind, number):
    script = tmp_path / 'command.py'
    script.write_text('import os, sys, time\n' + CHILDREN[kind])
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.send_signal(number)
    parent.wait()
    parent.stdout.close()  # the child may have it, too: its end is not waited for
    end = time.monotonic() + 10
    while not gone(child) and time.monotonic() < end:
        time.sleep(0.02)
    left = not gone(child)
    if left:
        os.kill(child, signal.SIGKILL)
    assert not left
