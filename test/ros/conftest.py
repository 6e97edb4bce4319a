"""Real nodes in processes of their own, spoken to over real DDS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from random_weights import random_weights
from ros_environment import ROOT

from ssd_perception.ros.dds import PROFILE_VARIABLES

STARTED_WITHIN_S = 60
# The node gives itself 1.5 s, and takes less than 2 on a machine that has nothing else to do.
STOPPED_WITHIN_S = 10


class NodeProcess:
    """The real detector_node; everything it prints is in ``log``.

    Args:
        program: what python runs instead of the module, to put a fault into the real node.
    """

    def __init__(self, folder: Path, *ros_arguments: str,
                 program: tuple[str, ...] = ('-m', 'ssd_perception.ros.detector_node')):
        # As a user starts it: without the publisher's profile.
        environment = {name: value for name, value in os.environ.items()
                       if name not in PROFILE_VARIABLES}
        self._path = folder / f'node_{time.monotonic_ns()}.log'
        with self._path.open('w') as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, '--ros-args', *ros_arguments], cwd=ROOT,
                env=environment, stdout=log, stderr=log)

    @property
    def log(self) -> str:
        return self._path.read_text()

    def wait_for(self, text: str, timeout_s: float = STARTED_WITHIN_S, count: int = 1) -> None:
        """Wait until the log holds ``text`` so often."""
        end = time.monotonic() + timeout_s
        while self.log.count(text) < count:
            assert self.process.poll() is None, f'ended before "{text}":\n{self.log}'
            assert time.monotonic() < end, f'no "{text}" within {timeout_s} s:\n{self.log}'
            time.sleep(0.05)

    def ended(self, timeout_s: float = STARTED_WITHIN_S) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'still alive after {timeout_s} s:\n{self.log}') from None

    def stop(self, number: int = signal.SIGINT) -> None:
        """Send a signal; the end must come soon and be a clean one."""
        start = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(STOPPED_WITHIN_S)
        print(f'ended {time.monotonic() - start:.2f} s after the signal')
        assert code == 0, self.log
        assert 'Traceback' not in self.log, self.log


_started: list[NodeProcess] = []


def _kill_since(count: int) -> None:
    """A node that outlives its test answers the next one's pictures and calls."""
    for node in _started[count:]:
        if node.process.poll() is None:
            node.process.kill()
            node.process.wait()
    del _started[count:]


@pytest.fixture(scope='module', autouse=True)
def _no_node_outlives_its_module():
    count = len(_started)
    yield
    _kill_since(count)


@pytest.fixture(autouse=True)
def _no_node_outlives_its_test(_no_node_outlives_its_module):
    """But for the one that a module's tests share: it was started before this."""
    count = len(_started)
    yield
    _kill_since(count)


@pytest.fixture(scope='session')
def node_process(tmp_path_factory):
    """Start nodes: ``node_process('-p', 'weights:=...')``; what is left at the end is killed."""
    def start(*ros_arguments: str, **how) -> NodeProcess:
        _started.append(NodeProcess(tmp_path_factory.mktemp('node'), *ros_arguments, **how))
        return _started[-1]
    return start


@pytest.fixture(scope='session')
def weights(tmp_path_factory):
    """A small network with random weights, seeded: its detections are nonsense, but the same."""
    return random_weights(tmp_path_factory.mktemp('weights') / 'tiny.safetensors', 128)


@pytest.fixture(scope='module')
def node(node_process, weights):
    """A running node that a module's tests share; many modules have one of their own."""
    process = node_process('-p', f'weights:={weights}', '-p', 'max_detections:=20')
    process.wait_for('Active on /image')
    return process


@pytest.fixture
def detections(node, peer):
    """What the node publishes."""
    return peer.listen_to_detections()


@pytest.fixture
def peer():
    """A node of the test's own, in the test's process."""
    pytest.importorskip('rclpy')
    from peer import Peer
    peer = Peer()
    yield peer
    peer.close()
