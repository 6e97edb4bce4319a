"""The real detector node with a stage that numbers detections, and weights that never load.

Loading weights whose name begins with `hang` does not return. An image of ``GROWS`` rows makes the
process seem to have grown by 2 GiB.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from ssd_perception.core import memory
from ssd_perception.core.detections import Detections
from ssd_perception.ros import slot
from ssd_perception.ros.loading import load_detector
from ssd_perception.ros.node import DetectorNode
from ssd_perception.ros.process import run

FIRST_ID = 100
GROWS = 31
grown_bytes = 0


def load(parameters):
    """Load as the node does."""
    if Path(parameters.weights).name.startswith('hang'):
        time.sleep(1e6)
    return load_detector(parameters)


def number(frame, detections):
    """Give ids that count from ``FIRST_ID``, and keep the best three."""
    global grown_bytes
    grown_bytes += (frame.image.shape[0] == GROWS) << 31
    ids = np.arange(FIRST_ID, FIRST_ID + len(detections))
    return Detections(detections.xyxy, detections.scores, detections.labels, ids)[:3]


if __name__ == '__main__':
    slot.SWAP_AFTER_S = 2.0
    memory.resident_bytes = lambda pid: grown_bytes
    run(lambda: DetectorNode(load, lambda node, parameters: [number]))
