"""The measured entries: our weights in every runtime and precision, and the processor itself."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssd_perception.benchmark.results import Facts
from ssd_perception.core.detections import Detections
from ssd_perception.core.metadata import WeightsError
from ssd_perception.imaging.compressed import decode, encode_jpeg
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.resolve import WeightsNotFound, resolve_weights
from ssd_perception.inference.runtimes import RuntimeUnavailable
from ssd_perception.inference.trial import ensure_tried

MATMUL = 1536  # rows and columns: three matrices of 9 MB do not fit a core's own cache


@dataclass
class Entry:
    """Something that is timed in rounds beside others.

    Attributes:
        name: in tables.
        kind: ``own``, ``baseline`` (another detector), ``network`` (the network of another
            detector, alone) or ``peak`` (arithmetic only).
        call: uint8 (H, W, 3) RGB -> stage -> milliseconds; ``call`` is the whole.
        facts: what is known of it beforehand.
        every: 5 takes part in every fifth round only, because it is slow.
        batch: images -> milliseconds of one call with all of them; None where it takes one.
        detector: of kind ``own``.
    """

    name: str
    kind: str
    call: Callable[[np.ndarray], dict[str, float]]
    facts: Facts
    every: int = 1
    batch: Callable[[Sequence[np.ndarray]], float] | None = None
    detector: Detector | None = None


def own(weights: str, runtimes: Sequence[str], precisions: Sequence[str], device: str,
        threads: int | None, log: Callable[[str], object],
        gflop: float | None = None) -> list[Entry]:
    """Return an entry for each runtime and precision that ``weights`` can run in here.

    Args:
        log: called with one sentence about each that cannot be run.
        gflop: arithmetic of the network, see ``Facts``.

    Raises:
        WeightsNotFound: when there are no such weights.
    """
    resolve_weights(weights)
    found = []
    for runtime in runtimes:
        for precision in precisions:
            try:
                ensure_tried(weights, runtime, device, precision)
                detector = Detector.from_weights(weights, runtime=runtime, device=device,
                                                 precision=precision, threads=threads)
            except (RuntimeUnavailable, WeightsError, WeightsNotFound, ValueError) as error:
                log(f'{runtime} {precision} is left out: {error}')
                continue
            entry = _own(detector)
            entry.facts = replace(entry.facts, gflop=gflop)
            found.append(entry)
    return found


def _own(detector: Detector) -> Entry:
    assert detector.path is not None  # from_weights
    height, width = detector.metadata.architecture.input_hw
    facts = Facts(detector.runtime, detector.precision, detector.device, detector.path.stem,
                  f'{width}x{height}', bool(detector.metadata.metrics),
                  detector.settings.score_threshold)
    stages = _Stages(detector)
    return Entry(f'{facts.weights} {facts.runtime} {facts.precision}', 'own', stages, facts,
                 batch=stages.batch, detector=detector)


class _Stages:
    """Calls a Detector, and times decoding before it and building a message after it."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._jpeg: tuple[np.ndarray | None, np.ndarray] = None, np.empty(0, np.uint8)
        self._message = _message_maker(detector.class_names)

    def __call__(self, image: np.ndarray) -> dict[str, float]:
        if self._jpeg[0] is not image:
            self._jpeg = image, encode_jpeg(image, 90)
        start = time.perf_counter()
        decode(self._jpeg[1])
        decoded = time.perf_counter()
        result = self._detector.detect([image])
        detected = time.perf_counter()
        times = {'decode': (decoded - start) * 1e3, **vars(result.timings),
                 'call': (detected - decoded) * 1e3}
        if self._message is not None:
            self._message(result.detections[0])
            times['message'] = (time.perf_counter() - detected) * 1e3
        return times

    def batch(self, images: Sequence[np.ndarray]) -> float:
        start = time.perf_counter()
        self._detector(images)
        return (time.perf_counter() - start) * 1e3


def _message_maker(class_names: tuple[str, ...]) -> Callable[[Detections], bytes] | None:
    """Return detections -> a serialised Detection2DArray, or None without ROS."""
    if not all(importlib.util.find_spec(name) for name in ('vision_msgs', 'rclpy')):
        return None
    from rclpy.serialization import serialize_message
    from std_msgs.msg import Header

    from ssd_perception.ros.serialised import detections_maker
    header, make = Header(frame_id='camera'), detections_maker()

    def message(found: Detections) -> bytes:
        made = make(header, found, class_names)
        return made if isinstance(made, bytes) else serialize_message(made)
    return message


def peak(threads: int | None) -> Entry:
    """Return the product of two matrices in torch: the arithmetic that the processor reaches."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    a, b = (torch.rand(MATMUL, MATMUL) for _ in range(2))

    def call(image: np.ndarray) -> dict[str, float]:
        start = time.perf_counter()
        a @ b
        return {'call': (time.perf_counter() - start) * 1e3}
    return Entry('matrix product fp32', 'peak', call,
                 Facts('torch', 'fp32', gflop=2 * MATMUL ** 3 / 1e9))
