"""How long each stage took, and on what machine: a time without its machine says nothing."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ssd_perception.inference.detector import Detector


def latency(timings_ms: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Return ``median_ms`` and ``p95_ms`` per stage and of the ``total``.

    Args:
        timings_ms: stage -> one time per picture, all of one length; may be empty.
    """
    stages = {stage: np.asarray(times, float) for stage, times in timings_ms.items()}
    if stages:
        stages['total'] = np.sum(list(stages.values()), axis=0)
    return {stage: {'median_ms': round(float(np.median(times)), 3),
                    'p95_ms': round(float(np.percentile(times, 95)), 3)}
            for stage, times in stages.items() if len(times)}


def conditions(detector: Detector) -> dict:
    """Return what the times were measured on and with.

    Returns:
        ``processor``, ``cores``, ``device`` (with the name of a GPU), ``runtime``,
        ``precision``, ``threads`` of the network (None where that is not the CPU) and
        ``batch_size``, which is 1: a robot has one picture at a time.
    """
    # Only the runtime that is in use has been imported; looking must not import another.
    torch = sys.modules.get('torch') if detector.runtime == 'torch' else None
    device = detector.device
    if torch is not None and device.startswith('cuda'):
        device = f'{device} ({torch.cuda.get_device_name(device)})'
    return {'processor': processor(), 'cores': os.cpu_count(), 'device': device,
            'runtime': detector.runtime, 'precision': detector.precision,
            'threads': detector.threads, 'batch_size': 1}


def processor() -> str:
    """Return the processor's name as the system tells it, or else its architecture."""
    try:
        rows = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        rows = []
    names = [row.partition(':')[2].strip() for row in rows if row.startswith('model name')]
    return names[0] if names and names[0] else platform.processor() or platform.machine()
