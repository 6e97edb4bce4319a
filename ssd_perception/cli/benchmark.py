"""Measure speed: stages, runtimes and precisions, other detectors, and the node under load."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssd_perception.benchmark.results import Benchmark, CamerasBenchmark, NodeBenchmark


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--weights', nargs='+', default=['rover'],
                        help='paths of weights, or names of shipped ones (default: rover)')
    parser.add_argument('--runtimes', nargs='+', metavar='NAME',
                        default=['torch', 'onnxruntime', 'openvino', 'opencv'],
                        help='runtimes to measure; those that are not installed are named and '
                        'left out (default: torch onnxruntime openvino opencv)')
    parser.add_argument('--precisions', nargs='+', metavar='NAME',
                        help='arithmetics of the networks: fp32, fp16, bf16, int8 '
                        '(default: fp32 int8)')
    parser.add_argument('--device', default='cpu', help='cpu or cuda (default: cpu)')
    parser.add_argument('--threads', type=int, default=None, metavar='N',
                        help='CPU threads of every entry (default: all cores)')
    parser.add_argument('--baselines', action='store_true',
                        help="also torchvision's SSDlite320, SSD300-VGG16 and RetinaNet, and the "
                        'network of YOLO11n where ultralytics is installed')
    parser.add_argument('--pictures', type=Path, metavar='DIR',
                        help='folder of images, resized to 640x480 (default: drawn ones)')
    parser.add_argument('--rounds', type=int, default=20, metavar='N',
                        help='rounds, in each of which every entry runs (default: 20)')
    parser.add_argument('--calls', type=int, default=3, metavar='N',
                        help='timed calls of each entry in a round (default: 3)')
    parser.add_argument('--data', type=Path, metavar='DIR',
                        help='labelled images: also measure average precision on split val')
    parser.add_argument('--node', action='store_true',
                        help='measure the node instead, fed by a camera process')
    parser.add_argument('--rates', nargs='+', type=float, default=[10.0, 30.0, 60.0],
                        metavar='HZ', help='with --node: images a second of the camera '
                        '(default: 10 30 60)')
    parser.add_argument('--cameras', nargs='+', type=int, default=[], metavar='N',
                        help='with --node: measure this many cameras of 640x480 on one node, one '
                        'number after the other, in the first of --precisions (default: int8)')
    parser.add_argument('--nodes', nargs='+', type=int, default=[], metavar='N',
                        help='with --cameras: also measure this many nodes with one camera each')
    parser.add_argument('--seconds', type=float, default=8.0, metavar='S',
                        help='with --node: seconds of each measurement (default: 8)')
    parser.add_argument('--out', type=Path, default=Path('benchmark'), metavar='DIR',
                        help='folder for benchmark.json and latency_ap.png, node.json or '
                        'cameras.json (default: benchmark)')
    parser.add_argument('--document', type=Path, metavar='FILE',
                        help='only write the page FILE from the figures in --out')


def run(args: argparse.Namespace) -> int:
    """Measure, or write the page of what was measured."""
    from ssd_perception.benchmark import run as use_case

    if args.document:
        use_case.write_document(args.document, args.out)
        print(f'Wrote {args.document}.')
        return 0
    if args.node:
        options = use_case.NodeOptions(
            args.weights[0], args.rates, args.seconds, args.threads or 0, args.out, args.cameras,
            args.nodes, (args.precisions or ['int8'])[0])
        results: Benchmark | NodeBenchmark | CamerasBenchmark
        if args.cameras:
            results, name = use_case.run_cameras(options), use_case.CAMERAS_RESULTS
        else:
            results, name = use_case.run_node(options), use_case.NODE_RESULTS
    else:
        results = use_case.run(use_case.BenchmarkOptions(
            args.weights, args.runtimes, args.precisions or ['fp32', 'int8'], args.device,
            args.threads, args.baselines, args.pictures, args.rounds, args.calls, args.data,
            args.out), print)
        name = use_case.RESULTS
    for line in use_case.lines(results):
        print(line)
    print(f'The figures are in {args.out / name}.')
    return 0
