"""Render random single pictures with their boxes into a Pascal VOC folder."""

import argparse
from pathlib import Path

import camera_effects
import numpy as np
import picture_scene
import place_scene
import renderer
import surroundings
import visible_boxes
import voc_folder
from tqdm import tqdm

WIDTH, HEIGHT = 640, 480
# Each split has its own seeds and its own list of floors.
SPLITS = {'train': (10_000, surroundings.TRAIN_FLOORS), 'val': (900_000, surroundings.VAL_FLOORS)}
PLACES_SEED = 40_000_000  # added to the split's: places share no seed with the older rooms


def render_picture(seed, floors, clutter_only, samples, threads, build=picture_scene.build):
    """Return (RGB picture, JPEG quality, boxes) of one random scene."""
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


def main():
    """Parse the command line and render what is still missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('output', type=Path, help='VOC folder to fill; finished pictures stay')
    parser.add_argument('--train', type=int, default=200, help='training pictures (default 200)')
    parser.add_argument('--val', type=int, default=24, help='validation pictures (default 24)')
    parser.add_argument('--samples', type=int, default=5, help='light paths per pixel')
    parser.add_argument('--threads', type=int, default=0, help='0: one per processor')
    parser.add_argument('--max-quality', type=int, default=93, help='cap of the JPEG quality')
    parser.add_argument('--first', type=int, default=0, help='skip the pictures before this one')
    parser.add_argument('--places', action='store_true', help='rooms and streets with cones, '
                        'cubes and look-alikes of all designs, not the one cone and cube')
    args = parser.parse_args()
    build = place_scene.build if args.places else picture_scene.build

    jobs = [(split, number) for split, count in (('train', args.train), ('val', args.val))
            for number in range(args.first, count)]
    for split, number in tqdm(jobs, unit='picture'):
        seed, floors = SPLITS[split]
        name = f'{split}_{number:04d}'
        xml_path = args.output / 'Annotations' / f'{name}.xml'
        if xml_path.exists():  # written last, so its picture is there too
            continue
        clutter_only = number % 10 == 7
        seed += number + PLACES_SEED * args.places
        picture, quality, boxes = render_picture(seed, floors, clutter_only, args.samples,
                                                 args.threads, build)
        jpeg = camera_effects.encode_jpeg(picture, min(quality, args.max_quality))
        voc_folder.write_atomically(args.output / 'JPEGImages' / f'{name}.jpg', jpeg)
        xml = voc_folder.annotation_xml(args.output.name, f'{name}.jpg', WIDTH, HEIGHT, boxes)
        voc_folder.write_atomically(xml_path, xml.encode())
    for split, count in (('train', args.train), ('val', args.val)):
        voc_folder.write_split(args.output, split, [f'{split}_{n:04d}' for n in range(count)])


if __name__ == '__main__':
    main()
