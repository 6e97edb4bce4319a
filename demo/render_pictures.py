"""Render random single images with their boxes into a Pascal VOC folder."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import bpy
import numpy as np
from tqdm import tqdm

from demo import (
    camera_effects,
    picture_scene,
    place_scene,
    renderer,
    surroundings,
    visible_boxes,
)
from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.data.writers import LabelledImage, voc_annotation
from ssd_perception.imaging.compressed import encode_jpeg

WIDTH, HEIGHT = 640, 480
# Each split has its own seeds and its own list of floors.
SPLITS = {'train': (10_000, surroundings.TRAIN_FLOORS), 'val': (900_000, surroundings.VAL_FLOORS)}
PLACES_SEED = 40_000_000  # added to the split's: places share no seed with the older rooms
Build = Callable[..., tuple[bpy.types.Object, dict[bpy.types.Object, str]]]


def render_picture(
        seed: int, floors: Sequence[str], clutter_only: bool, samples: int, threads: int,
        build: Build = picture_scene.build) -> tuple[np.ndarray, int, list[visible_boxes.Box]]:
    """Return (RGB image, JPEG quality, boxes) of one random scene, which `build` makes."""
    rng = np.random.default_rng(seed)
    for _ in range(20):
        scene = renderer.start_scene(WIDTH, HEIGHT, samples, threads, 0.75)
        camera, targets = build(rng, scene, floors, clutter_only)
        boxes = visible_boxes.visible_boxes(scene, camera, targets,
                                            renderer.render_instances(scene))
        # A target hidden by furniture is thrown again rather than left unlabelled.
        if clutter_only or boxes:
            break
    scene.cycles.seed = seed % 2**31
    linear = renderer.render_linear(scene)
    look = camera_effects.random_look(rng)
    gain = camera_effects.exposure_gain(linear, look.grey)
    return camera_effects.develop(linear, look, gain, rng), look.jpeg_quality, boxes


def main() -> None:
    """Parse the command line and render what is still missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('output', type=Path, help='VOC folder to fill; finished images stay')
    parser.add_argument('--train', type=int, default=200, help='training images (default 200)')
    parser.add_argument('--val', type=int, default=24, help='validation images (default 24)')
    parser.add_argument('--samples', type=int, default=5, help='light paths per pixel')
    parser.add_argument('--threads', type=int, default=0, help='0: one per processor')
    parser.add_argument('--max-quality', type=int, default=93, help='cap of the JPEG quality')
    parser.add_argument('--first', type=int, default=0, help='skip the images before this one')
    parser.add_argument('--places', action='store_true', help='rooms and streets with cones, '
                        'cubes and look-alikes of all designs, not the one cone and cube')
    args = parser.parse_args()
    render_missing(args.output, {'train': args.train, 'val': args.val}, args)


def render_missing(root: Path, counts: dict[str, int], args: argparse.Namespace) -> None:
    """Render the images of each split that `root` does not hold yet, and list them."""
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    build = place_scene.build if args.places else picture_scene.build
    jobs = [(split, number) for split, count in counts.items()
            for number in range(args.first, count)]
    for split, number in tqdm(jobs, unit='image'):
        first, floors = SPLITS[split]
        name = f'{split}_{number:04d}'
        xml_path = root / 'Annotations' / f'{name}.xml'
        if xml_path.exists():  # written last, so its image is there too
            continue
        seed = first + number + PLACES_SEED * args.places
        picture, quality, boxes = render_picture(seed, floors, number % 10 == 7, args.samples,
                                                 args.threads, build)
        jpeg = encode_jpeg(picture, min(quality, args.max_quality)).tobytes()
        atomic_write(root / 'JPEGImages' / f'{name}.jpg', jpeg)
        labelled = LabelledImage(
            name, '.jpg', WIDTH, HEIGHT, np.array([box.xyxy for box in boxes]),
            tuple(box.label for box in boxes), (1.0,) * len(boxes))
        atomic_write(xml_path, voc_annotation(labelled, root.name, whole=False))
    for split, count in counts.items():
        names = ''.join(f'{split}_{number:04d}\n' for number in range(count))
        atomic_write(root / 'ImageSets' / 'Main' / f'{split}.txt', names.encode())


if __name__ == '__main__':
    main()
