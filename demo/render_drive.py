"""Render a drive through the course: frames, ground truth, and the bag of both.

Finished frames stay in the work folder, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import bpy
import numpy as np
from tqdm import tqdm

from demo import camera_effects, course, other_course, recording, renderer, visible_boxes
from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.imaging.compressed import encode_jpeg

HERE = Path(__file__).parent
# A small rover camera: slightly cool, a little veil, its gain up in the dim room.
LOOK = camera_effects.CameraLook(
    grey=0.20, white_balance=(1.02, 1.0, 1.03), softness_px=0.55, vignette=0.28, glare=0.05,
    shot_noise=0.011, read_noise=0.0025, contrast=0.25, saturation=1.05, sharpening=0.45,
    black=0.01, jpeg_quality=84)
SCALE = 0.75  # rendered pixels per image pixel: the lens below blurs more than that costs
ADAPTATION = 0.25  # part of the way that the automatic exposure goes with each frame


def render_truth(scene: bpy.types.Scene, camera: bpy.types.Object,
                 targets: dict[bpy.types.Object, str], work: Path, frames: Sequence[int]) -> None:
    """Store the boxes of every frame as JSON."""
    for number in tqdm(frames, desc='boxes', unit='frame'):
        path = work / f'{number:03d}.json'
        if path.exists():
            continue
        scene.frame_set(number + 1)
        boxes = visible_boxes.visible_boxes(scene, camera, targets,
                                            renderer.render_instances(scene))
        atomic_write(path, json.dumps(boxes).encode())


def render_frames(scene: bpy.types.Scene, work: Path, frames: Sequence[int]) -> None:
    """Store every frame in linear light: exposure needs them in order, rendering does not."""
    for number in tqdm(frames, desc='frames', unit='frame'):
        path = work / f'{number:03d}.npy'
        if path.exists():
            continue
        scene.frame_set(number + 1)
        # Without another seed the sampling pattern would stand still before the moving scene.
        scene.cycles.seed = number
        buffer = io.BytesIO()
        np.save(buffer, np.clip(renderer.render_linear(scene), 0, 60000).astype(np.float16))
        atomic_write(path, buffer.getvalue())


def developed(work: Path, frames: Sequence[int], look: camera_effects.CameraLook,
              seed: int) -> Iterator[tuple[bytes, list]]:
    """Yield (JPEG bytes, boxes) with the exposure following the light, as a camera's does."""
    log_gain = None
    for number in frames:
        linear = np.load(work / f'{number:03d}.npy').astype(np.float32)
        wanted = np.log(camera_effects.exposure_gain(linear, look.grey))
        log_gain = wanted if log_gain is None else log_gain + ADAPTATION * (wanted - log_gain)
        picture = camera_effects.develop(linear, look, float(np.exp(log_gain)),
                                         np.random.default_rng([seed, number]))
        boxes = json.loads((work / f'{number:03d}.json').read_text())
        yield encode_jpeg(picture, look.jpeg_quality).tobytes(), boxes


def main() -> None:
    """Parse the command line, render what is missing and write the recording."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--output', type=Path, default=HERE / 'recording',
                        help='folder of the recording; replaced when all frames are there')
    parser.add_argument('--work', type=Path, default=HERE / 'frames',
                        help='folder of the rendered frames (about 200 MB, not for git)')
    parser.add_argument('--samples', type=int, default=5, help='light paths per pixel')
    parser.add_argument('--threads', type=int, default=0, help='0: one per processor')
    parser.add_argument('--frames', type=int, default=course.FRAMES, help='stop after this many')
    parser.add_argument('--every', type=int, default=1, help='render only each Nth of them')
    parser.add_argument('--seed', type=int, default=course.SEED,
                        help='another number is another drive: other objects, floors, light, way')
    parser.add_argument('--day', type=int, default=0,
                        help='another number is another day in the same rooms and light: cones '
                             'and cubes elsewhere, another way')
    parser.add_argument('--camera', type=int, default=None,
                        help='a number is another camera; default: that of the recording')
    parser.add_argument('--scale', type=float, default=SCALE,
                        help='rendered pixels per image pixel')
    args = parser.parse_args()

    args.work.mkdir(parents=True, exist_ok=True)
    frames = range(0, args.frames, args.every)
    plan = course.Plan() if args.seed == course.SEED else other_course.random_plan(args.seed)
    if args.day:
        plan = other_course.another_day(plan, args.day)
    look = LOOK if args.camera is None else camera_effects.random_look(
        np.random.default_rng(args.camera))
    scene = renderer.start_scene(course.WIDTH, course.HEIGHT, args.samples, args.threads,
                                 args.scale)
    scene.render.use_persistent_data = True  # the rooms stay as they are, only the camera moves
    camera, targets = course.build(scene, plan)
    render_truth(scene, camera, targets, args.work, frames)
    render_frames(scene, args.work, frames)
    recording.write_recording(args.output, developed(args.work, frames, look, plan.seed),
                              course.RATE_HZ / args.every, (course.WIDTH, course.HEIGHT),
                              course.FOCAL_PX)
    print(f'{args.output}: {len(frames)} frames')


if __name__ == '__main__':
    main()
