"""The real detector node with a device that breaks when a file says so: FILE then ROS arguments.

The file holds one word: `works`; `fails`, every batch but on the CPU asked for by name;
`lost`, which also cannot be loaded; `hangs`, for ever; `activate`, where activating raises;
`loads slowly`, which waits until another word is there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ssd_perception.ros.camera import Camera
from ssd_perception.ros.loading import load_detector
from ssd_perception.ros.node import DetectorNode
from ssd_perception.ros.process import run

FAULT = Path(sys.argv[1])


def fault() -> str:
    """Return the word in force now."""
    return FAULT.read_text().strip()


class Device:
    """A runtime on a device that may break."""

    def __init__(self, runtime, on_cpu: bool):
        self._runtime, self._on_cpu = runtime, on_cpu

    def __getattr__(self, name):
        return getattr(self._runtime, name)

    def __call__(self, batch):
        if fault() == 'hangs':
            time.sleep(1e6)
        if fault() in ('fails', 'lost') and not self._on_cpu:
            raise RuntimeError('CUDA error: device lost\nCUDA kernel errors might be reported '
                               'asynchronously')
        return self._runtime(batch)


def load(parameters):
    """Load as the node does."""
    while fault() == 'loads slowly':
        time.sleep(0.05)
    if fault() == 'lost' and parameters.device != 'cpu':
        raise RuntimeError('CUDA error: no device')
    detector = load_detector(parameters)
    detector._runtime = Device(detector._runtime, parameters.device == 'cpu')
    return detector


def listen(camera):
    """Subscribe as the node does."""
    if fault() == 'activate':
        raise RuntimeError('no more file handles')
    return _listen(camera)


_listen, Camera.listen = Camera.listen, listen

if __name__ == '__main__':
    run(lambda: DetectorNode(load))
