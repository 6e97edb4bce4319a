"""Write images of one simulated room, with boxes, as a Pascal VOC folder.

    python tools/simulate_place.py place_1 --seed 1

Floor, wall and light follow from the seed; cones, cubes and the rover stand elsewhere in every
image. The split train is what a person would label there, val measures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from sim import model  # noqa: E402
from sim.course import make_course  # noqa: E402
from sim.rover import Rover  # noqa: E402
from ssd_perception.data.writers import LabelledImage, write_voc  # noqa: E402
from ssd_perception.imaging.compressed import encode_jpeg  # noqa: E402

_FAR_APART = 1000  # between the courses of two places
JPEG_QUALITY = 90


def seen_at(seed: int, number: int) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return image, class names and boxes of the ``number``-th view of a place."""
    things = make_course(_FAR_APART * seed + number)
    rover = Rover(replace(make_course(seed), things=things.things, heading=things.heading))
    rng = np.random.default_rng([seed, number])
    rover.step(rng.uniform(0, 5), 0.5, rng.uniform(-0.2, 0.2))
    image = rover.image()
    names, xyxy = rover.boxes()
    rover.close()
    return image, names, xyxy


def write(folder: Path, seed: int, split: str, numbers: range) -> None:
    """Write the views of a split, all that show a thing."""
    def images() -> Iterator[tuple[LabelledImage, bytes]]:
        for number in numbers:
            image, names, xyxy = seen_at(seed, number)
            if names:
                yield LabelledImage(
                    f'{folder.name}_{number:03d}', '.jpg', model.WIDTH, model.HEIGHT, xyxy,
                    tuple(names), (1.0,) * len(names)), encode_jpeg(image, JPEG_QUALITY).tobytes()
    print(f'{folder} {split}: {write_voc(folder, split, images())} images')


def main() -> None:
    """Parse the command line and write both splits."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='Pascal VOC folder to fill')
    parser.add_argument('--seed', type=int, required=True, help='another number: another room')
    parser.add_argument('--train', type=int, default=20, help='views to train on')
    parser.add_argument('--val', type=int, default=60, help='views to measure on')
    args = parser.parse_args()
    write(args.folder, args.seed, 'train', range(args.train))
    write(args.folder, args.seed, 'val', range(args.train, args.train + args.val))


if __name__ == '__main__':
    main()
