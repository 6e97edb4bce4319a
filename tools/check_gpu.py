"""Check and measure the package on a CUDA GPU: tests, training, latency, ONNX Runtime.

`tools/check_gpu.sh` starts it. Each part runs even when another one fails; the JSON holds the
figures of each part, or its error. It is written whenever there is something new, so that a run
which is cut off leaves what it had: a part with "finished": false was not done.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.data.writers import LabelledImage, voc_annotation

# Takes what a part has found so far.
Keep = Callable[[dict[str, Any]], None]

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ('ball', 'box')


def draw_images(folder: Path, count: int) -> None:
    """Write a training split in VOC layout: drawn balls and boxes on noise, 640x480 JPEG.

    Photographs cost the loader the same; only their size and number matter here.
    """
    rng = np.random.default_rng(0)
    for part in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (folder / part).mkdir(parents=True, exist_ok=True)
    names = [f'{i:04d}' for i in range(count)]
    for name in names:
        image = cv2.resize(rng.integers(0, 255, (15, 20, 3), np.uint8), (640, 480))
        boxes, labels = [], []
        for label in rng.integers(0, 2, 3):
            x, y, side = *rng.integers(0, 320, 2), int(rng.integers(40, 160))
            colour = rng.integers(0, 255, 3).tolist()
            if label:
                cv2.rectangle(image, (int(x), int(y)), (int(x) + side, int(y) + side), colour, -1)
            else:
                middle = int(x) + side // 2, int(y) + side // 2
                cv2.circle(image, middle, side // 2, colour, -1)
            boxes.append((x, y, x + side, y + side))
            labels.append(CLASSES[label])
        cv2.imwrite(str(folder / 'JPEGImages' / f'{name}.jpg'), image)
        (folder / 'Annotations' / f'{name}.xml').write_bytes(voc_annotation(LabelledImage(
            name, '.jpg', 640, 480, np.array(boxes), tuple(labels), (1.0,) * 3), folder.name))
    (folder / 'ImageSets/Main/train.txt').write_text('\n'.join(names) + '\n')


def run_tests(device: str, quick: bool, keep: Keep) -> dict[str, Any]:
    """Run the tests that need CUDA."""
    begin, lines, passed = time.perf_counter(), [], []
    process = subprocess.Popen(
        [sys.executable, '-u', '-m', 'pytest', '-v', '-p', 'no:cacheprovider', '--noconftest',
         '-rs', '--durations=5', 'test/training/test_cuda.py'], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if ' PASSED' in line:
                passed.append(line.split(' PASSED')[0].partition('::')[2])
            if '::' in line:
                keep({'passed': passed, 'seconds': time.perf_counter() - begin,
                      'output': ''.join(lines)[-2000:]})
    finally:
        process.kill()
    return {'exit_code': process.wait(), 'passed': passed,
            'seconds': time.perf_counter() - begin, 'output': ''.join(lines)[-2500:]}


def train_b1(device: str, quick: bool, keep: Keep) -> dict[str, Any]:
    """Train EfficientNet-B1 at 512 in bf16; see ``benchmark_loader.measure``."""
    sys.path.insert(0, str(ROOT / 'tools'))
    from benchmark_loader import measure

    from ssd_perception.data.layout import read_split
    from ssd_perception.training.recipe import load_recipe

    gpu = device == 'cuda'
    workers = max(1, min(16, len(os.sched_getaffinity(0)) - 1))
    recipe = load_recipe(ROOT / 'config/train/voc.yaml', (
        'init=random', f'class_names={json.dumps(CLASSES)}', 'multi_scale=[]',
        f'precision={"bf16" if gpu else "fp32"}', f'workers={workers if gpu else 1}',
        *(() if gpu else ('batch_size=2', 'architecture.input_hw=[64, 64]', 'warmup=2',
                          'iterations=200'))))
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, 'data')
        draw_images(data, 200 if gpu else 8)
        steps, rounds, first = ((14, 2, 10) if quick else (32, 4, 24)) if gpu else (8, 1, 2)
        figures = measure(recipe, read_split(data, 'train'), Path(folder, 'run'), device,
                          steps, rounds, first, keep)
    return {'backbone': recipe.architecture.backbone, 'input_hw': recipe.architecture.input_hw,
            'precision': recipe.precision, 'batch_size': recipe.batch_size,
            'workers': recipe.workers, **figures,
            'gpu_memory_gib': torch.cuda.max_memory_allocated() / 2 ** 30 if gpu else None}


def milliseconds(call: Callable[[], object], calls: int) -> dict[str, float]:
    """Return median and best time of ``call``, which returns when its result is there."""
    for _ in range(3):
        call()
    times = []
    for _ in range(calls):
        begin = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begin))
    return {'median_ms': statistics.median(times), 'best_ms': min(times)}


def random_weights(folder: Path, backbone: str, side: int) -> Path:
    """Write untrained weights: latency does not depend on their values."""
    from ssd_perception.core.metadata import Architecture, Metadata
    from ssd_perception.model.ssd import SSD
    from ssd_perception.model.weights import save_weights

    architecture = Architecture(backbone=backbone, input_hw=(side, side))
    torch.manual_seed(0)
    return save_weights(folder / f'{backbone}_{side}.safetensors',
                        SSD(architecture, len(CLASSES)), Metadata(CLASSES, architecture))


def latency(device: str, quick: bool, keep: Keep) -> dict[str, Any]:
    """Time the network with host transfers, in fp16 with CUDA graphs, at batch 1 and 32."""
    from ssd_perception.inference.runtimes.torch import TorchRuntime

    gpu, rows = device == 'cuda', {}
    with tempfile.TemporaryDirectory() as folder:
        for backbone in ('efficientnet_lite0', 'efficientnet_b1'):
            for side in (320, 512) if gpu else (64,):
                runtime = TorchRuntime.load(random_weights(Path(folder), backbone, side), device,
                                            'fp16' if gpu else 'fp32', None)
                for size in (1, 32):
                    batch = np.random.default_rng(0).integers(0, 255, (size, side, side, 3),
                                                              np.uint8)
                    calls = (50 if quick else 200) if gpu else 1
                    rows[f'{backbone} {side} batch {size}'] = milliseconds(
                        functools.partial(runtime, batch), calls)
                    keep({'rows': rows})
    return {'precision': 'fp16' if gpu else 'fp32', 'cuda_graphs': gpu, 'rows': rows}


def onnxruntime_cuda(device: str, quick: bool, keep: Keep) -> dict[str, Any]:
    """Time ONNX Runtime's CUDA provider on Lite0 at 320, and compare it with torch."""
    import onnxruntime

    from ssd_perception.inference.export import export_onnx
    from ssd_perception.inference.runtimes.onnxruntime import OnnxRuntime
    from ssd_perception.inference.runtimes.torch import TorchRuntime

    providers = onnxruntime.get_available_providers()
    found = {'version': onnxruntime.__version__, 'providers': providers}
    if device == 'cuda' and 'CUDAExecutionProvider' not in providers:
        return {**found, 'skipped': 'this onnxruntime has no CUDA provider'}
    side = 320 if device == 'cuda' else 64
    with tempfile.TemporaryDirectory() as folder:
        weights = random_weights(Path(folder), 'efficientnet_lite0', side)
        export_onnx(weights, weights.with_suffix('.onnx'))
        runtime = OnnxRuntime.load(weights, device, 'fp32', None)
        batch = np.random.default_rng(0).integers(0, 255, (1, side, side, 3), np.uint8)
        other = TorchRuntime.load(weights, 'cpu', 'fp32', None)
        differences = [float(np.abs(a - b).max()) for a, b in zip(runtime(batch), other(batch))]
        return {**found, 'device': runtime.device, 'largest_difference': max(differences),
                **milliseconds(lambda: runtime(batch), 50 if quick else 200)}


PARTS: dict[str, Callable[[str, bool, Keep], dict[str, Any]]] = {
    'tests': run_tests, 'latency': latency, 'training': train_b1,
    'onnxruntime': onnxruntime_cuda}


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    gpu = torch.cuda.get_device_properties(0) if torch.cuda.is_available() else None
    return {'gpu': gpu and gpu.name, 'gpu_memory_gib': gpu and gpu.total_memory / 2 ** 30,
            'cpu_cores': len(os.sched_getaffinity(0)), 'torch': torch.__version__,
            'cuda': torch.version.cuda, 'python': sys.version.split()[0]}


def main() -> int:
    """Run all parts; return 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true', help='fewer calls and steps')
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS),
                        help='all of them without it')
    parser.add_argument('--out', type=Path, default=Path('gpu.json'))
    args = parser.parse_args()
    device = os.environ.get('DEVICE', 'cuda')
    if device == 'cuda' and not torch.cuda.is_available():
        sys.exit('check_gpu: torch finds no CUDA device here; DEVICE=cpu rehearses without one.')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {'machine': machine(), 'quick': args.quick}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the parts end their processes
    failed = 0

    def keep(name: str, found: dict[str, Any]) -> None:
        report[name] = found
        atomic_write(args.out, (json.dumps(report, indent=1, default=dataclasses_to_dict)
                                + '\n').encode())

    for name in args.parts:
        begin = time.perf_counter()
        keep(name, {'finished': False})
        try:
            keep(name, PARTS[name](device, args.quick, lambda found, name=name: keep(
                name, {**found, 'finished': False})))
            failed += name == 'tests' and report[name]['exit_code'] != 0
        except KeyboardInterrupt:
            print(f'{name} was cut off; {args.out} holds what was found before.')
            return 1
        except Exception as error:  # the other parts are to run all the same
            failed += 1
            keep(name, {**report[name], 'error': f'{type(error).__name__}: {error}',
                        'traceback': traceback.format_exc()[-1500:]})
        print(f'{name}: {time.perf_counter() - begin:.0f} s '
              f'{json.dumps(report[name], default=str)[:1500]}', flush=True)
    print(f'written to {args.out}')
    return 1 if failed else 0


def dataclasses_to_dict(value: object) -> object:
    """Let ``json`` write dataclasses, and anything else as text."""
    is_instance = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return dataclasses.asdict(value) if is_instance else str(value)


if __name__ == '__main__':
    sys.exit(main())
