"""How long each stage of the detector took, and on what machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_perception.inference.detector import Detector


@dataclass(frozen=True)
class StageTime:
    """Median and 95th percentile of a stage's time, ms."""

    median_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Conditions:
    """What the times were measured on and with.

    Attributes:
        processor: its name; ``cores`` counts all of the machine.
        device: ``cpu``, or ``cuda:0`` with the name of the GPU.
        runtime, precision: of the network.
        threads: of the network; None where it does not run on the CPU.
        batch_size: images in a call.
    """

    processor: str
    cores: int | None
    device: str
    runtime: str
    precision: str
    threads: int | None
    batch_size: int = 1


@dataclass(frozen=True)
class Latency:
    """Times of the stages and of their ``total``, and the conditions they hold for."""

    stages: Mapping[str, StageTime]
    conditions: Conditions


def stage_times(timings_ms: Mapping[str, Sequence[float]]) -> dict[str, StageTime]:
    """Return the time of each stage, and the ``total`` of the stages.

    Args:
        timings_ms: stage -> one time per image, all of one length; may be empty.
    """
    stages = {stage: np.asarray(times, float) for stage, times in timings_ms.items()}
    if stages:
        stages['total'] = np.sum(list(stages.values()), axis=0)
    return {stage: StageTime(round(float(np.median(times)), 3),
                             round(float(np.percentile(times, 95)), 3))
            for stage, times in stages.items() if len(times)}


def conditions(detector: Detector) -> Conditions:
    """Return what ``detector`` runs on, one image at a time as on a robot."""
    # If torch runs the network, it is already imported; otherwise do not import it.
    torch = sys.modules.get('torch') if detector.runtime == 'torch' else None
    device = detector.device
    if torch is not None and device.startswith('cuda'):
        device = f'{device} ({torch.cuda.get_device_name(device)})'
    return Conditions(processor(), os.cpu_count(), device, detector.runtime, detector.precision,
                      detector.threads)


def processor() -> str:
    """Return the processor's name, or its architecture where the system has no name for it."""
    try:
        rows = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        rows = []
    names = [row.partition(':')[2].strip() for row in rows if row.startswith('model name')]
    return names[0] if names and names[0] else platform.processor() or platform.machine()
