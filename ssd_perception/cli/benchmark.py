"""Measure speed: stages, runtimes and precisions, other detectors, and the node under load."""

from __future__ import annotations

import argparse
import datetime
import json
import os
from pathlib import Path

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import SettingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--weights', nargs='+', default=['rover'],
                        help='paths or names (default: rover)')
    parser.add_argument('--runtimes', nargs='+', metavar='NAME',
                        default=['torch', 'onnxruntime', 'openvino'],
                        help='those that are not installed are named and left out')
    parser.add_argument('--precisions', nargs='+', default=['fp32', 'int8'], metavar='NAME')
    parser.add_argument('--device', default='cpu', help='cpu or cuda (default: cpu)')
    parser.add_argument('--threads', type=int, default=None, metavar='N',
                        help='CPU threads of every contestant (default: all cores)')
    parser.add_argument('--peers', action='store_true',
                        help="also torchvision's SSDlite320, SSD300-VGG16 and RetinaNet, and the "
                        'network of YOLO11n where ultralytics is installed')
    parser.add_argument('--pictures', type=Path, metavar='DIR',
                        help='folder of pictures, resized to 640x480 (default: drawn ones)')
    parser.add_argument('--rounds', type=int, default=20, metavar='N')
    parser.add_argument('--calls', type=int, default=3, metavar='N', help='timed in each round')
    parser.add_argument('--data', type=Path, metavar='DIR',
                        help='labelled pictures: also measure average precision on split val')
    parser.add_argument('--node', action='store_true',
                        help='measure the node instead, fed by a camera process')
    parser.add_argument('--rates', nargs='+', type=float, default=[10.0, 30.0, 60.0],
                        metavar='HZ', help='of --node')
    parser.add_argument('--seconds', type=float, default=8.0, help='of --node, for each case')
    parser.add_argument('--out', type=Path, default=Path('benchmark'), metavar='DIR',
                        help='folder for benchmark.json and latency_ap.png, or node.json '
                        '(default: benchmark)')
    parser.add_argument('--document', type=Path, metavar='FILE',
                        help='only write the page FILE from benchmark.json and node.json in --out')


def run(args: argparse.Namespace) -> int:
    """Measure, or write the page of what was measured."""
    if args.document:
        return _write_document(args)
    for name in ('rounds', 'calls'):
        if getattr(args, name) < 1:
            raise SettingError(f'--{name} must be at least 1, got {getattr(args, name)}.')
    if args.node:
        if min(args.rates) <= 0 or args.seconds < 3:
            raise SettingError('--rates must be above 0 and --seconds at least 3.')
        from ssd_perception.benchmark.through_node import measure_node
        results = measure_node(args.weights[0], args.rates, args.seconds, args.threads or 0)
    else:
        results = _measure(args)
    results['command'] = _command(args)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / ('node.json' if args.node else 'benchmark.json')
    atomic_write(path, (json.dumps(results, indent=1) + '\n').encode())
    if not args.node:
        from ssd_perception.benchmark.plot import plot
        plot(results, args.out / 'latency_ap.png')
    print(f'The figures are in {path}.')
    return 0


def _measure(args: argparse.Namespace) -> dict:
    from tqdm import tqdm

    from ssd_perception.benchmark import baselines, entries, figures, memory
    from ssd_perception.benchmark.images import load_pictures
    from ssd_perception.benchmark.rounds import run_rounds

    threads = args.threads or len(os.sched_getaffinity(0))
    machine = figures.machine()
    pictures = load_pictures(args.pictures)
    found = [c for weights in args.weights for c in
             entries.own(weights, args.runtimes, args.precisions, args.device, threads, print)]
    if not found:
        raise SettingError('None of the runtimes and precisions asked for can be used here.')
    gflop = {weights: figures.network_gflop(weights) for weights in args.weights}
    for contestant in found:
        weights = next(w for w in args.weights if Path(w).stem == contestant.about['weights'])
        if gflop[weights]:
            contestant.about['gflop'] = gflop[weights]
    if args.peers:
        classes = next(c.detector.class_names for c in found if c.detector)
        found += baselines.torchvision_baselines(len(classes))
        found += baselines.yolo_baselines(tuple(args.runtimes), threads, print)
    found.append(entries.peak(threads))
    with tqdm(total=args.rounds * len(found), desc='benchmark', unit='turn') as bar:
        def turned(name: str) -> None:
            bar.set_postfix_str(name)
            bar.update()
        times = run_rounds(found, pictures, args.rounds, args.calls, turned)
    rows = [figures.entry(c, t) for c, t in zip(found, times)]
    for contestant, entry in zip(tqdm(found, 'memory and accuracy', unit='contestant'), rows):
        if (detector := contestant.detector) is not None:
            a = contestant.about
            entry['memory_mb'] = memory.peak_mb(str(detector.path), a['runtime'],
                                                a['precision'], args.device, threads)
            if args.data and a['trained']:
                entry['ap'] = _accuracy(detector, args.data)
    layers = {c.about['weights']: _layers(c.detector.path, threads) for c in found
              if c.detector and c.detector.path and c.about['runtime'] == 'openvino'}
    rounds = max(len(t.rounds) for t in times)
    results = {'date': datetime.date.today().isoformat(), 'machine': machine,
               'versions': figures.versions(),
               'method': {'rounds': rounds, 'calls': args.calls, 'picture': '640x480',
                          'threads': threads}, 'contestants': rows, 'layers': layers,
               'ratios': figures.ratios(found, times)}
    for entry in rows:
        print(f'{entry["name"]:48s} p50 {entry["ms"]["call"]["p50"]:8.2f} ms   '
              f'p95 {entry["ms"]["call"]["p95"]:8.2f} ms')
    for row in results['ratios']:
        print(f'{row["of"]} : {row["to"]} ({row["what"]}) = {row["ratio"]:.3f}')
    return results


def _layers(path: Path, threads: int) -> list[dict]:
    from ssd_perception.benchmark.layers import layer_times

    return layer_times(path, threads)


def _accuracy(detector, data: Path) -> dict:
    from ssd_perception.data.layout import read_split
    from ssd_perception.evaluation.accuracy import evaluate

    found = evaluate(detector, read_split(data, 'val'))
    return {'data': f'{data.resolve().name} val',
            'voc10_ap50': found.voc10_ap50, 'coco_ap': found.coco_ap}


def _command(args: argparse.Namespace) -> str:
    """Return how to measure the same again; names of files only, no places of this machine."""
    words = ['ssd_perception benchmark']
    if args.node:
        words += ['--node', '--rates', *(f'{rate:g}' for rate in args.rates),
                  '--seconds', f'{args.seconds:g}']
    else:
        words += ['--weights', *(Path(w).name for w in args.weights),
                  *(['--peers'] if args.peers else []),
                  *(['--pictures', args.pictures.name] if args.pictures else []),
                  *(['--data', args.data.resolve().name.upper()] if args.data else []),
                  *(['--threads', str(args.threads)] if args.threads else []),
                  *(['--device', args.device] if args.device != 'cpu' else []),
                  '--runtimes', *args.runtimes, '--precisions', *args.precisions,
                  '--rounds', str(args.rounds), '--calls', str(args.calls)]
    return ' '.join(words)


def _write_document(args: argparse.Namespace) -> int:
    from ssd_perception.benchmark.document import document

    results = json.loads((args.out / 'benchmark.json').read_text())
    node = args.out / 'node.json'
    picture = args.out / 'latency_ap.png'
    args.document.write_text(document(
        results, json.loads(node.read_text()) if node.is_file() else None,
        os.path.relpath(picture, args.document.parent) if picture.is_file() else ''))
    print(f'Wrote {args.document}.')
    return 0
