"""One node with many cameras beside many nodes with one: answers, ages, fairness, CPU, memory."""

from __future__ import annotations

import datetime
import struct
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from tqdm import tqdm
from vision_msgs.msg import Detection2DArray

from ssd_perception.benchmark.camera_process import topics
from ssd_perception.benchmark.figures import machine, versions
from ssd_perception.benchmark.results import Ages, CamerasBenchmark, CamerasCase
from ssd_perception.benchmark.through_node import (
    STARTED_WITHIN_S,
    Listener,
    cpu_s,
    graph_of_its_own,
    resident_mb,
)
from ssd_perception.core import interface
from ssd_perception.live.processes import Child, Processes, ProcessFailed

SIZE = '640x480'
SETTLE_S = 1.0  # at the start of each case, not measured


def measure_cameras(weights: str, precision: str, layouts: Sequence[tuple[int, int]],
                    rates: Sequence[float], seconds: float, threads: int,
                    command: str) -> CamerasBenchmark:
    """Send raw images and JPEGs of many cameras at every rate through one node, or one each.

    Args:
        precision: of the network.
        layouts: how many nodes, and how many cameras in all.
        rates: of each camera, Hz.
        seconds: of each case.
        threads: parameter of the node; 0 is its default.
        command: how to measure the same again.

    Raises:
        ProcessFailed: when a node or the cameras end, or nothing is answered.
    """
    about, environment = machine(), graph_of_its_own()
    kinds = [(kind, rate) for kind in ('raw', 'jpeg') for rate in rates]
    results = []
    with tqdm(total=len(layouts) * len(kinds), desc='many cameras', unit='case') as bar:
        for nodes, cameras in layouts:
            with Processes(environment) as processes:
                started = start_nodes(processes, nodes, cameras, [
                    '-p', f'weights:={weights}', '-p', f'precision:={precision}',
                    '-p', f'threads:={threads}'])
                listener = CamerasListener(cameras, nodes)
                try:
                    listener.until(listener.all_active, STARTED_WITHIN_S, *started)
                    for kind, rate in kinds:
                        results.append(_case(listener, started, cameras, kind, rate, seconds))
                        bar.update()
                finally:
                    listener.close()
    return CamerasBenchmark(
        datetime.date.today().isoformat(), command, about, versions(), seconds,
        f'{threads} threads' if threads else "the node's default of threads", precision, SIZE,
        results)


def start_nodes(processes: Processes, nodes: int, cameras: int,
                parameters: Sequence[str]) -> list[Child]:
    """Start one node with all cameras, or one node for each."""
    command = [sys.executable, '-m', 'ssd_perception.ros.detector_node', '--ros-args', *parameters]
    names = [topic.rpartition('/')[0] for topic in topics(cameras)]
    if nodes == 1:
        return [processes.start('node', [*command, '-p', f'cameras:=[{",".join(names)}]'],
                                quiet=True)]
    return [processes.start(f'node of {name}', [*command, '-r', f'__ns:=/{name}'], quiet=True)
            for name in names]


def _case(listener: CamerasListener, nodes: Sequence[Child], cameras: int, transport: str,
          rate: float, seconds: float) -> CamerasCase:
    with Processes({}) as processes:
        source = processes.start('cameras', [
            sys.executable, '-m', 'ssd_perception.benchmark.camera_process', '--size', SIZE,
            '--transport', transport, '--rate', str(rate), '--cameras', str(cameras)])
        alive = *nodes, source
        listener.expect_new_camera()
        listener.until(listener.all_answered, STARTED_WITHIN_S, *alive)
        listener.spin(SETTLE_S)
        listener.until(listener.fresh_diagnostics(), 5, *alive)
        listener.clear()
        first, begin = listener.received(), time.monotonic()
        used = [-cpu_s(child) for child in alive]
        own = -time.process_time()
        listener.spin(seconds - SETTLE_S)
        listener.until(listener.fresh_diagnostics(), 5, *alive)
        span = time.monotonic() - begin
        own += time.process_time()
        used = [value + cpu_s(child) for value, child in zip(used, alive)]
        received = [now - before for now, before in zip(listener.received(), first)]
        memory = [resident_mb(child) for child in nodes]
    counts = [len(ages) for ages in listener.of_camera.values()]
    if not sum(counts):
        raise ProcessFailed(f'None of {cameras} cameras was answered at {rate:g} Hz.')
    ages = np.concatenate([np.array(ages) for ages in listener.of_camera.values()]) * 1e3
    p50, p95, p100 = (round(float(np.percentile(ages, q)), 2) for q in (50, 95, 100))
    return CamerasCase(
        len(nodes), cameras, transport, rate, round(span, 2),
        answers_per_s=round(sum(counts) / span, 2), least_per_s=round(min(counts) / span, 2),
        age_ms=Ages(p50, p95, p100), received=received[0], replaced=received[1],
        lost=max(0, round(cameras * rate * span) - received[0]),
        cpu=round(sum(used[:-1]) / span, 3), cameras_cpu=round(used[-1] / span, 3),
        listener_cpu=round(own / span, 3), rss_mb=round(sum(rss for rss, _ in memory), 1),
        pss_mb=round(sum(pss for _, pss in memory), 1))


class CamerasListener(Listener):
    """Subscribes to the detections of all cameras, and reads of each message its stamp alone.

    Attributes:
        of_camera: topic -> seconds from each answer's stamp to its arrival here.
    """

    def __init__(self, cameras: int, nodes: int) -> None:
        self.of_camera: dict[str, list[float]] = {}
        self._values: dict[str, dict[str, str]] = {}  # name of a camera's entry -> its values
        self._active: set[str] = set()
        self._reported: set[str] = set()  # nodes, since ``fresh_diagnostics``
        self._nodes = nodes
        super().__init__()
        for topic in topics(cameras):
            answers = topic.removesuffix(interface.IMAGE) + interface.DETECTIONS
            self.of_camera[answers] = []
            self._node.create_subscription(
                Detection2DArray, answers, partial(self._stamped, self.of_camera[answers]), 10,
                raw=True)

    def _stamped(self, ages: list[float], message: bytes) -> None:
        now_s = time.time()
        seconds, nanoseconds = struct.unpack_from('<iI' if message[1] & 1 else '>iI', message, 4)
        if (stamp_s := seconds + nanoseconds / interface.NS_PER_S) >= self.not_before_s:
            ages.append(now_s - stamp_s)

    def _diagnose(self, message: DiagnosticArray) -> None:
        super()._diagnose(message)
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            if status.name.endswith(interface.DETECTOR_ENTRY):
                self._reported.add(status.name)
                if values.get(interface.STATE, '').startswith('active'):
                    self._active.add(status.name)
            elif interface.FRAMES_RECEIVED in values:
                self._values[status.name] = values

    def all_active(self) -> bool:
        """Say whether every node is active."""
        return len(self._active) >= self._nodes

    def fresh_diagnostics(self) -> Callable[[], bool]:
        """Return a condition: every node has reported since now."""
        self._reported.clear()
        return lambda: len(self._reported) >= self._nodes

    def all_answered(self) -> bool:
        """Say whether every camera had an answer."""
        return all(self.of_camera.values())

    def received(self) -> tuple[int, int]:
        """Return how many images the nodes have received, and replaced by newer ones."""
        received, replaced = (sum(int(values[key]) for values in self._values.values())
                              for key in (interface.FRAMES_RECEIVED, interface.FRAMES_DROPPED))
        return received, replaced

    def clear(self) -> None:
        """Forget the ages, and all reports but the last."""
        super().clear()
        for ages in self.of_camera.values():
            ages.clear()
