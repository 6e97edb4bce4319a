"""Compare the node's CPU time per image in two checkouts, side by side on the same images.

    git worktree add /tmp/before COMMIT
    python tools/compare_node_cost.py /tmp/before . --weights /tmp/before/weights/rover.int8.onnx

Both nodes run at once, with their default parameters and one thread, so that other work on the
machine disturbs both alike. Each round is ten seconds at 10 Hz, over the shipped large-image
profile: frames that Fast DDS loses cost time, too, and not both nodes the same.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rclpy
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from ssd_perception.ros.dds import large_images_profile, profile_variable

ROUND_IMAGES, PERIOD_S, READY_WITHIN_S = 100, 0.1, 90.0


def start(folder: Path, name: str, weights: Path) -> subprocess.Popen:
    """Start the node of a checkout in a namespace of its own."""
    environment = {**os.environ, 'PYTHONPATH': str(folder), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen(
        [sys.executable, '-m', 'ssd_perception.ros.detector_node', '--ros-args', '-r',
         f'__ns:=/{name}', '-r', 'image:=/compared/image', '-p', f'weights:={weights}', '-p',
         'runtime:=onnxruntime', '-p', 'threads:=1'], cwd=folder, env=environment)


def cpu_seconds(process: subprocess.Popen) -> float:
    """Return the CPU time of a process so far."""
    values = Path(f'/proc/{process.pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(values[11]) + int(values[12])) / os.sysconf('SC_CLK_TCK')


def end_all(processes: list[subprocess.Popen]) -> None:
    """Ask all processes to end, and wait for them."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(20)


def main() -> None:
    """Print one line for each round, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkouts', type=Path, nargs=2, help='before and after')
    parser.add_argument('--weights', type=Path, required=True, help='exported file for both')
    parser.add_argument('--rounds', type=int, default=5)
    args = parser.parse_args()
    os.environ.setdefault(profile_variable(), str(large_images_profile()))
    rclpy.init()
    camera = rclpy.create_node('compared_camera')
    publisher = camera.create_publisher(Image, '/compared/image', 5)
    answers = [0, 0]

    def count(index: int) -> None:
        answers[index] += 1

    pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    message = Image(height=480, width=640, encoding='rgb8', step=1920, data=pixels.tobytes())

    def show() -> None:
        message.header.stamp = camera.get_clock().now().to_msg()
        publisher.publish(message)
        end = time.monotonic() + PERIOD_S
        while time.monotonic() < end:
            rclpy.spin_once(camera, timeout_sec=0.01)

    names = ('before', 'after')
    for index, name in enumerate(names):
        camera.create_subscription(Detection2DArray, f'/{name}/detections',
                                   lambda _, index=index: count(index), 10)
    nodes = [start(folder.resolve(), name, args.weights.resolve())
             for folder, name in zip(args.checkouts, names)]
    try:
        end = time.monotonic() + READY_WITHIN_S
        while min(answers) < 20:
            if time.monotonic() > end:
                raise SystemExit(f'The nodes answered {answers} images; both must answer.')
            show()
        costs = []
        for _ in range(args.rounds):
            first, counted = [cpu_seconds(node) for node in nodes], list(answers)
            for _ in range(ROUND_IMAGES):
                show()
            costs.append([1000 * (cpu_seconds(node) - began) / max(now - then, 1)
                          for node, began, now, then in zip(nodes, first, answers, counted)])
            print('ms of CPU an image: before {:.2f}, after {:.2f}'.format(*costs[-1]))
        before, after = np.array(costs).T
        print(f'ratio: median {np.median(after / before):.3f}, of the sums '
              f'{after.sum() / before.sum():.3f}')
    finally:
        end_all(nodes)
        rclpy.shutdown()


if __name__ == '__main__':
    main()
