"""The real node between a camera process and a listener: ages, drops, CPU and memory."""

from __future__ import annotations

import datetime
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from tqdm import tqdm
from vision_msgs.msg import Detection2DArray

from ssd_perception.benchmark.figures import machine, versions
from ssd_perception.benchmark.results import Ages, NodeBenchmark, NodeCase
from ssd_perception.core import interface
from ssd_perception.live.processes import Child, Processes, ProcessFailed
from ssd_perception.ros.dds import detector_profile, large_images_profile, profile_variable

IMAGES = (('640x480', 'raw'), ('1920x1080', 'raw'), ('1920x1080', 'jpeg'))
STARTED_WITHIN_S = 90
SETTLE_S = 2.0  # at the start of each case, not measured: discovery, a new kind of input
STAGES = ('network', 'decode', 'preprocess', 'postprocess', 'publish')


def measure_node(weights: str, rates: Sequence[float], seconds: float, threads: int,
                 command: str) -> NodeBenchmark:
    """Run every kind of image at every rate through a node in a graph of its own.

    Args:
        rates: of the camera, Hz.
        seconds: of each case.
        threads: parameter of the node; 0 is its default, all cores but one.
        command: how to measure the same again.

    Raises:
        ProcessFailed: when the node or the camera ends, or nothing is answered.
    """
    about = machine()
    environment = graph_of_its_own()
    with Processes(environment) as processes:
        node = processes.start('node', [
            sys.executable, '-m', 'ssd_perception.ros.detector_node', '--ros-args',
            '-p', f'weights:={weights}', '-p', f'threads:={threads}'], quiet=True)
        listener = Listener()
        try:
            listener.wait(node)
            cases = [(size, kind, rate) for size, kind in IMAGES for rate in rates]
            results = [_case(listener, node, size, kind, rate, seconds)
                       for size, kind, rate in tqdm(cases, 'through the node', unit='case')]
        finally:
            listener.close()
    return NodeBenchmark(
        datetime.date.today().isoformat(), command, about, versions(), seconds,
        f'{threads} threads' if threads else "the node's default of threads", results)


def graph_of_its_own() -> dict[str, str]:
    """Put this process and its children into a graph of their own; return the nodes' variables.

    All get the profiles of Fast DDS that the launch file gives them.
    """
    environment = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                   'ROS_DOMAIN_ID': os.environ.get('ROS_DOMAIN_ID', str(os.getpid() % 100 + 1)),
                   profile_variable(): str(large_images_profile())}
    os.environ.update(environment)
    return {**environment, profile_variable(): str(detector_profile())}


def _case(listener: Listener, node: Child, size: str, transport: str, rate: float,
          seconds: float) -> NodeCase:
    # The camera sends until the last diagnostics have come: frames that it did not send in that
    # time would count as lost.
    with Processes({}) as processes:
        camera = processes.start('camera', [
            sys.executable, '-m', 'ssd_perception.benchmark.camera_process', '--size', size,
            '--transport', transport, '--rate', str(rate)])
        alive = node, camera
        listener.expect_new_camera()
        listener.until(lambda: listener.ages, STARTED_WITHIN_S, *alive)
        listener.spin(SETTLE_S)
        listener.until(listener.fresh_diagnostics(), 5, *alive)
        listener.clear()
        first, cpu, begin = listener.diagnostics[-1], cpu_s(node), time.monotonic()
        listener.spin(seconds - SETTLE_S)
        listener.until(listener.fresh_diagnostics(), 5, *alive)
        span = time.monotonic() - begin
        used, ages = cpu_s(node) - cpu, np.array(listener.ages) * 1e3
        shown = listener.diagnostics[1:] or listener.diagnostics
        last = shown[-1]

    def grew(key: str) -> int:
        return int(last[key]) - int(first[key])

    def median(stage: str) -> float:
        key = interface.stage_key(stage)
        return float(np.median([float(d[key]) for d in shown if key in d]))

    received = grew(interface.FRAMES_RECEIVED)
    p50, p95, p100 = (round(float(np.percentile(ages, q)), 2) for q in (50, 95, 100))
    return NodeCase(
        size, transport, rate, span_s=round(span, 2), answers=len(ages),
        answers_per_s=round(len(ages) / span, 2), age_ms=Ages(p50, p95, p100), received=received,
        replaced=grew(interface.FRAMES_DROPPED), lost=max(0, round(rate * span) - received),
        stages_ms={stage: round(median(stage), 2) for stage in STAGES},
        cpu=round(used / span, 3), memory_mb=round(resident_mb(node)[0], 1))


class Listener:
    """Subscribes to the node's detections and diagnostics.

    Attributes:
        ages: seconds from each answer's stamp to its arrival here.
        diagnostics: the camera's entries, key -> value.
        not_before_s: seconds since 1970; answers to earlier images do not count.
    """

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('benchmark_listener', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self.ages: list[float] = []
        self.diagnostics: list[dict[str, str]] = []
        self._state, self.not_before_s = '', time.time()
        self._node.create_subscription(Detection2DArray, interface.DETECTIONS, self._answer, 10)
        self._node.create_subscription(DiagnosticArray, interface.DIAGNOSTICS, self._diagnose, 10)

    def _answer(self, message: Detection2DArray) -> None:
        stamp_s = interface.stamp_to_ns(message.header.stamp) / interface.NS_PER_S
        if stamp_s >= self.not_before_s:
            self.ages.append(time.time() - stamp_s)

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            if status.name.endswith(interface.DETECTOR_ENTRY):
                self._state = values.get(interface.STATE, '')
            elif interface.FRAMES_RECEIVED in values:
                self.diagnostics.append(values)

    def wait(self, node: Child) -> None:
        """Wait until the node is active."""
        self.until(lambda: self._state.startswith('active'), STARTED_WITHIN_S, node)

    def fresh_diagnostics(self) -> Callable[[], bool]:
        """Return a condition: another report of the node has come since now."""
        before = len(self.diagnostics)
        return lambda: len(self.diagnostics) > before

    def expect_new_camera(self) -> None:
        """Forget the ages; ignore answers to frames of the last camera from now on."""
        # One such answer would start the measurement of the new camera seconds before DDS has
        # connected camera and node.
        self.not_before_s = time.time()
        self.clear()

    def clear(self) -> None:
        """Forget the ages, and all reports but the last."""
        self.ages.clear()
        del self.diagnostics[:-1]

    def spin(self, seconds: float) -> None:
        """Listen for ``seconds``."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)

    def until(self, condition: Callable[[], object], timeout_s: float, *alive: Child) -> None:
        """Listen until ``condition()`` holds.

        Raises:
            ProcessFailed: when one of ``alive`` ends first, or the time is over.
        """
        end = time.monotonic() + timeout_s
        while not condition():
            for child in alive:
                if child.process.poll() is not None:
                    raise ProcessFailed(f'The {child.name} ended: {child.last_words()}')
            if time.monotonic() > end:
                raise ProcessFailed(f'Nothing came from the node within {timeout_s:g} s.')
            self._executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)


def cpu_s(child: Child) -> float:
    """Return the CPU time of a child so far, s."""
    # proc(5): fields 14 and 15, user and system time, in clock ticks; the name may hold blanks.
    fields = Path(f'/proc/{child.process.pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def resident_mb(child: Child) -> tuple[float, float]:
    """Return a child's resident memory, and its share of it (PSS) where others use it too, MB."""
    text = Path(f'/proc/{child.process.pid}/smaps_rollup').read_text()
    rss, pss = (int(re.findall(rf'^{name}:\s+(\d+)', text, re.M)[0]) / 1000
                for name in ('Rss', 'Pss'))
    return rss, pss
