"""Measure how the node starts, stage by stage: seconds from exec, and resident memory.

    git worktree add /tmp/before COMMIT
    python tools/measure_start.py /tmp/before . --precision int8 --json docs/benchmark/start.json

Every checkout starts in turn, in a fresh cache folder first (cold: the network is compiled) and
then again and again (warm: the compiled network is kept). A camera of 640x480 sends at 10 Hz all
the time. One start before, which does not count, reads all files into the system's memory. The
figures are medians; of several checkouts, ratios to the first.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WITHIN_S, LISTEN_S = 90.0, 1.5
MARKS = 'START_MARKS'  # the variable with the file that the child writes
SPACE = f'/start_{os.getpid()}'  # its topics: another node's answers must not count


def main() -> None:
    """Print the stages of each checkout; write the last one's to --json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkouts', type=Path, nargs='+')
    parser.add_argument('--precision', default='int8')
    parser.add_argument('--starts', type=int, default=5, help='warm ones of each checkout')
    parser.add_argument('--json', type=Path, help='file for the figures')
    args = parser.parse_args()
    from ssd_perception.benchmark.figures import machine, versions
    from ssd_perception.core.format import to_json
    from ssd_perception.ros.dds import large_images_profile, profile_variable

    about = machine()
    os.environ[profile_variable()] = str(large_images_profile())
    runs: list[dict[str, list]] = [{'cold': [], 'warm': []} for _ in args.checkouts]
    with tempfile.TemporaryDirectory() as folder, Listener() as listener:
        caches = [Path(folder, str(number)) for number in range(len(runs))]
        for index, checkout in enumerate(args.checkouts):  # not counted: the files are read
            start(listener, checkout, Path(folder, 'first'), args.precision)
            runs[index]['cold'].append(start(listener, checkout, caches[index], args.precision))
        for _ in range(args.starts):
            for index, checkout in enumerate(args.checkouts):
                runs[index]['warm'].append(
                    start(listener, checkout, caches[index], args.precision))
    tables = [{kind: medians(found) for kind, found in run.items()} for run in runs]
    for checkout, table in zip(args.checkouts, tables):
        for kind, stages in table.items():
            print(f'{checkout}, {kind}:')
            for stage in stages:
                print('  {name:28s} {s:7.3f} s {rss_mb:7.1f} MB, PSS {pss_mb:6.1f}, shared '
                      '{shm_mb:5.1f}'.format(
                    **stage))
    ratios = {f'{kind}: {stage["name"]}, {what}': round(stage[what] / base[what], 3)
              for kind in ('cold', 'warm')
              for stage, base in zip(tables[-1][kind], tables[0][kind])
              for what in ('s', 'rss_mb', 'pss_mb') if stage['name'] in ('active', 'answers')}
    for name, value in ratios.items() if len(tables) > 1 else ():
        print(f'ratio of {name}: {value:.3f}')
    if args.json:
        names = 'CHECKOUT_BEFORE . ' if len(tables) > 1 else '. '
        args.json.write_text(json.dumps({
            'date': datetime.date.today().isoformat(), 'machine': to_json(about),
            'versions': versions(), 'precision': args.precision, 'starts': args.starts,
            'command': f'python tools/measure_start.py {names}--precision {args.precision} '
                       f'--starts {args.starts}',
            'stages': tables[-1], 'ratios': ratios if len(tables) > 1 else {}}, indent=1) + '\n')


def medians(runs: list[list[dict]]) -> list[dict]:
    """Return for each stage the medians over the starts."""
    return [{'name': stages[0]['name'],
             **{what: round(statistics.median(stage[what] for stage in stages), 3)
                for what in ('s', 'rss_mb', 'pss_mb', 'shm_mb')}} for stages in zip(*runs)]


class Listener:
    """A camera that sends all the time; the stamp of the last image answered, ns."""

    def __enter__(self) -> Listener:
        import rclpy
        from sensor_msgs.msg import Image
        from vision_msgs.msg import Detection2DArray
        self._rclpy = rclpy
        rclpy.init()
        self._node, self.answered_ns = rclpy.create_node('start_camera'), 0
        self._publisher = self._node.create_publisher(Image, f'{SPACE}/image', 1)
        self._message = Image(height=480, width=640, encoding='rgb8', step=1920,
                              data=b'\x7f' * (480 * 1920))
        self._node.create_subscription(Detection2DArray, f'{SPACE}/detections', self._answer,
                                       10)
        self._node.create_timer(0.1, self._send)
        return self

    def __exit__(self, *_: object) -> None:
        self._rclpy.shutdown()

    def _answer(self, message: Any) -> None:
        self.answered_ns = message.header.stamp.sec * 10 ** 9 + message.header.stamp.nanosec

    def _send(self) -> None:
        self._message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(self._message)

    def spin(self) -> None:
        """Send and listen for a moment."""
        self._rclpy.spin_once(self._node, timeout_sec=0.01)


def start(listener: Listener, checkout: Path, cache: Path, precision: str) -> list[dict]:
    """Start the node once; return its stages."""
    with tempfile.NamedTemporaryFile() as marks:
        began, began_ns = time.monotonic(), time.time_ns()
        environment = {**os.environ, 'PYTHONPATH': str(checkout.resolve()), MARKS: marks.name,
                       'SSD_PERCEPTION_CACHE': str(cache), **profile(checkout)}
        child = subprocess.Popen(
            [sys.executable, __file__, repr(began), '--ros-args', '-r', f'__ns:={SPACE}', '-p',
             f'precision:={precision}'], cwd='/', env=environment, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        try:
            while listener.answered_ns < began_ns:  # the last node's answers may come late
                if time.monotonic() - began > WITHIN_S or child.poll() is not None:
                    child.kill()
                    raise SystemExit(f'The node of {checkout} did not answer: '
                                     f'{child.communicate()[1]}')
                listener.spin()
            answered_s = time.monotonic() - began
            while time.monotonic() - began < answered_s + LISTEN_S:
                listener.spin()
            last = {'name': 'answers', 's': answered_s, **memory(child.pid)}
            return [*json.loads(Path(marks.name).read_text()), last]
        finally:
            child.terminate()
            child.wait(20)


def profile(checkout: Path) -> dict[str, str]:
    """Return the variable that a checkout's launch file sets for the node."""
    from ssd_perception.ros.dds import profile_variable
    names = (checkout.resolve() / 'config' / f'fastdds_{name}.xml'
             for name in ('detector', 'large_images'))
    return {profile_variable(): str(next(name for name in names if name.is_file()))}


def memory(pid: int | str) -> dict[str, float]:
    """Return a process's resident memory, its share of it, and what of it is shared memory, MB."""
    text = ''.join(Path(f'/proc/{pid}/{name}').read_text() for name in ('smaps_rollup', 'status'))
    return {key: int(re.findall(rf'^{name}:\s+(\d+)', text, re.M)[0]) / 1000
            for key, name in (('rss_mb', 'Rss'), ('pss_mb', 'Pss'), ('shm_mb', 'RssShmem'))}


def child(began: float) -> None:
    """Be the node, and note the stages of its start."""
    stages = []

    def mark(name: str) -> None:
        stages.append({'name': name, 's': time.monotonic() - began, **memory('self')})

    mark('interpreter')
    for module in ('numpy', 'cv2', 'rclpy', 'ssd_perception.ros.node'):
        importlib.import_module(module)
        mark(module)
    from ssd_perception.ros import node, process
    from ssd_perception.ros.loading import load_detector

    def load(parameters):
        importlib.import_module('ssd_perception.inference.runtimes.openvino')
        mark('openvino')
        detector = load_detector(parameters)
        mark('network compiled and run')
        return detector

    class Marked(node.DetectorNode):
        def __init__(self) -> None:
            super().__init__(load)
            mark('node made')

        def on_activate(self, state):
            result = super().on_activate(state)
            mark('active')
            Path(os.environ[MARKS]).write_text(json.dumps(stages))
            return result

    process.run(Marked)


if __name__ == '__main__':
    if MARKS in os.environ:
        child(float(sys.argv[1]))
    else:
        main()
