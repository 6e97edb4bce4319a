"""Render cones, cubes and look-alikes as cut-outs with an alpha channel, a folder per class."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from demo import cone_designs, cube_designs, cutout_scene, lookalikes, renderer
from ssd_perception.core.atomic_write import atomic_write

# Each class has its own seeds; `none` is what is neither a cone nor a cube.
MAKERS: dict[str, tuple[int, Callable]] = {
    'cone': (5_000_000, cone_designs.cone), 'cube': (6_000_000, cube_designs.cube),
    'none': (7_000_000, lookalikes.lookalike)}


def render_cutout(label: str, number: int, samples: int,
                  threads: int = 0) -> cutout_scene.CutOut:
    """Render cut-out `number` of a class; the number alone decides what it shows."""
    first, maker = MAKERS[label]
    rng = np.random.default_rng(first + number)
    scene = renderer.start_scene(256, 256, samples, threads)
    scene.cycles.seed = number
    thing = maker(rng)
    return cutout_scene.render(rng, thing, scene, max(thing.dimensions), label == 'cube')


def interleaved(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Order (label, number) so that any beginning of the list holds the classes in proportion."""
    jobs = [((number + 0.5) / count, label, number)
            for label, count in counts.items() for number in range(count)]
    return [(label, number) for _, label, number in sorted(jobs)]


def main() -> None:
    """Parse the command line and render what is still missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('output', type=Path, help='folder to fill; finished cut-outs stay')
    for label, count in (('cone', 450), ('cube', 250), ('none', 350)):
        parser.add_argument(f'--{label}', type=int, default=count,
                            help=f'cut-outs of {label} (default {count})')
    parser.add_argument('--samples', type=int, default=6, help='light paths per pixel')
    parser.add_argument('--threads', type=int, default=0, help='0: one per processor')
    args = parser.parse_args()

    for label in MAKERS:
        (args.output / label).mkdir(parents=True, exist_ok=True)
    boxes_path = args.output / 'boxes.json'
    boxes = json.loads(boxes_path.read_text()) if boxes_path.is_file() else {}
    jobs = interleaved({label: getattr(args, label) for label in MAKERS if getattr(args, label)})
    for label, number in tqdm(jobs, unit='cut-out'):
        name = f'{label}/{number:06d}.png'
        if name in boxes:  # written last, so its image is there too
            continue
        cut = render_cutout(label, number, args.samples, args.threads)
        ok, png = cv2.imencode('.png', cv2.cvtColor(cut.rgba, cv2.COLOR_RGBA2BGRA))
        if not ok:
            raise RuntimeError(f'OpenCV could not encode {name}')
        atomic_write(args.output / name, png.tobytes())
        boxes[name] = [round(v, 1) for v in cut.xyxy]
        atomic_write(boxes_path, json.dumps(boxes, indent=0).encode())


if __name__ == '__main__':
    main()
