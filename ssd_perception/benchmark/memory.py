"""Measure the memory of a process that only runs the detector, in a child process."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import numpy as np


def peak_mb(weights: str, runtime: str, precision: str, device: str,
            threads: int | None) -> float | None:
    """Return the largest resident memory, MB, of a new process that detects; None if it fails."""
    child = subprocess.run(
        [sys.executable, '-m', __name__, json.dumps([weights, runtime, precision, device,
                                                     threads])],
        capture_output=True, text=True)
    return float(child.stdout.split()[-1]) if child.returncode == 0 else None


def main(arguments: str) -> None:
    """Detect in a few images of 640x480 and print the peak in MB."""
    from ssd_perception.inference.detector import Detector

    weights, runtime, precision, device, threads = json.loads(arguments)
    detector = Detector.from_weights(weights, runtime=runtime, precision=precision,
                                     device=device, threads=threads)
    for _ in range(5):
        detector([np.full((480, 640, 3), 127, np.uint8)])
    # VmHWM rather than ru_maxrss, which begins at the value of the parent process.
    try:
        with open('/proc/self/status', encoding='ascii') as status:
            peak_kb = next(int(line.split()[1]) for line in status if line.startswith('VmHWM'))
    except OSError:  # no Linux
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak_kb / 1000)


if __name__ == '__main__':
    main(sys.argv[1])
