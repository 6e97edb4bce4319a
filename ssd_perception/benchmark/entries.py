"""Who is measured: our weights in every runtime and precision, and the processor itself."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ssd_perception.core.metadata import WeightsError
from ssd_perception.imaging.compressed import decode, encode_jpeg
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.resolve import WeightsNotFound, resolve_weights
from ssd_perception.inference.runtimes import RuntimeUnavailable

PRECISIONS = ('fp32', 'int8')
MATMUL = 1536  # rows and columns: three matrices of 9 MB, more than any cache next to a core


@dataclass
class Entry:
    """Something that takes turns with others.

    Attributes:
        name: in tables.
        kind: ``own``, ``peer``, ``network`` (a peer's network alone) or ``peak``.
        call: uint8 (H, W, 3) RGB -> stage -> milliseconds; ``call`` is the whole.
        about: what is to be known of it, for JSON.
        detector: of kind ``own``.
        every: it takes part in one of so many rounds, because it is slow.
        batch: milliseconds of one call with so many pictures; None where there is none.
    """

    name: str
    kind: str
    call: Callable[[np.ndarray], dict[str, float]]
    about: dict[str, Any] = field(default_factory=dict)
    every: int = 1
    batch: Callable[[Sequence[np.ndarray]], float] | None = None
    detector: Detector | None = None


def own(weights: str, runtimes: Sequence[str], precisions: Sequence[str], device: str,
        threads: int | None, say: Callable[[str], None]) -> list[Entry]:
    """Return one contestant for each runtime and precision that ``weights`` can run in here.

    Args:
        say: told, in one sentence each, what cannot be run and why.

    Raises:
        WeightsNotFound: when there are no such weights.
    """
    resolve_weights(weights)
    found = []
    for runtime in runtimes:
        for precision in precisions:
            try:
                detector = Detector.from_weights(weights, runtime=runtime, device=device,
                                                 precision=precision, threads=threads)
            except (RuntimeUnavailable, WeightsError, WeightsNotFound, ValueError) as error:
                say(f'{runtime} {precision} is left out: {error}')
                continue
            found.append(_own(detector))
    return found


def _own(detector: Detector) -> Entry:
    assert detector.path is not None  # from_weights
    height, width = detector.metadata.architecture.input_hw
    about = {
        'weights': detector.path.stem, 'runtime': detector.runtime,
        'precision': detector.precision, 'device': detector.device, 'input': f'{width}x{height}',
        'backbone': detector.metadata.architecture.backbone,
        'trained': bool(detector.metadata.metrics), 'score_threshold':
            detector.settings.score_threshold}
    stages = _Stages(detector)
    return Entry(f'{about["weights"]} {detector.runtime} {detector.precision}', 'own',
                      stages, about, batch=stages.batch, detector=detector)


class _Stages:
    """Calls a Detector and times what lies before and behind it too."""

    def __init__(self, detector: Detector):
        self._detector = detector
        self._jpeg: tuple[np.ndarray | None, np.ndarray] = None, np.empty(0, np.uint8)
        self._message = _message_maker(detector.class_names)

    def __call__(self, picture: np.ndarray) -> dict[str, float]:
        if self._jpeg[0] is not picture:
            self._jpeg = picture, encode_jpeg(picture, 90)
        start = time.perf_counter()
        decode(self._jpeg[1])
        decoded = time.perf_counter()
        result = self._detector.detect([picture])
        detected = time.perf_counter()
        times = {'decode': (decoded - start) * 1e3, **vars(result.timings),
                 'call': (detected - decoded) * 1e3}
        if self._message is not None:
            self._message(result.detections[0])
            times['message'] = (time.perf_counter() - detected) * 1e3
        return times

    def batch(self, pictures: Sequence[np.ndarray]) -> float:
        start = time.perf_counter()
        self._detector(pictures)
        return (time.perf_counter() - start) * 1e3


def _message_maker(class_names):
    """Return detections -> a serialised Detection2DArray, or None without ROS."""
    if not all(importlib.util.find_spec(name) for name in ('vision_msgs', 'rclpy')):
        return None
    from rclpy.serialization import serialize_message
    from std_msgs.msg import Header

    from ssd_perception.ros.messages import MESSAGES
    header = Header(frame_id='camera')
    return lambda found: serialize_message(
        MESSAGES.detections_message(header, found, class_names))


def peak(threads: int | None) -> Entry:
    """Return the product of two matrices in torch: the most arithmetic that can be had here."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    a, b = (torch.rand(MATMUL, MATMUL) for _ in range(2))

    def call(picture: np.ndarray) -> dict[str, float]:
        start = time.perf_counter()
        a @ b
        return {'call': (time.perf_counter() - start) * 1e3}
    return Entry('matrix product fp32', 'peak', call,
                      {'gflop': 2 * MATMUL ** 3 / 1e9, 'precision': 'fp32', 'runtime': 'torch',
                       'threads': torch.get_num_threads()})
