"""Measure tracks on recorded drives whose ground truth has ids: IDF1, HOTA, precision, misses.

    pip install trackeval
    python tools/measure_tracks.py demo/recording --mount height=0.33 pitch=0.192 \\
        --class-heights cone=0.19..0.36 cube=0.22..0.30

Ground truth lower than --min-height is left out, and so are boxes on it: what the network cannot
see says nothing about tracks. An object is in full view where its box does not touch the image's
edge and is not much narrower, for its height, than it usually is. TrackEval (Luiten et al.)
computes IDF1 and HOTA. "With perfect ids" is the IDF1 of the same boxes under the ids of the
ground truth: what the detector alone costs. The rows "all" add up the boxes of several drives:
to compare tracks with single images at the same precision, give several thresholds. --cost
measures the time of the stage instead, with 20 objects.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ssd_perception.bags.frames import TRUTH_TOPIC, image_topic, to_rgb
from ssd_perception.bags.reader import Bag
from ssd_perception.core.boxes import iou
from ssd_perception.core.detections import Detections
from ssd_perception.core.frame import Frame, prepare_stages
from ssd_perception.core.interface import CAMERA_INFO_TYPE, stamp_to_ns
from ssd_perception.core.messages import from_rows, rows_of
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.inference.detector import Detector
from ssd_perception.ros.scene_parameters import parse_heights, parse_mount
from ssd_perception.scene.camera_model import CameraModel
from ssd_perception.scene.camera_motion import CameraMotion
from ssd_perception.scene.positions import PositionSettings, View, plausible
from ssd_perception.scene.tracks import TrackSettings, TrackStage

MATCH = 0.5  # IoU of a detection with its object
OUT_OF_VIEW = 0.75  # of an object's usual width for its height
LOWEST = 0.2
MOST_BOXES = 10_000  # in an image
OBJECTS = 20  # of which --cost gives the cost


class Drive:
    """A recording with what the detector finds from a low score on.

    Attributes:
        truths: one Detections with ids for each frame.
        found: one Detections for each frame.
        stamps: nanoseconds.
        images: RGB, for the camera's motion.
        camera: model of the recording's CameraInfo.
    """

    def __init__(self, path: Path, detector: Detector):
        names, low = detector.class_names, PostprocessSettings(LOWEST)
        with Bag(path) as bag:
            info = next(iter(bag.records(bag.of_type(CAMERA_INFO_TYPE)))).message
            truths = {stamp_to_ns(r.message.header.stamp): from_rows(rows_of(r.message), names)
                      for r in bag.records([TRUTH_TOPIC])}
            self.stamps, self.truths, self.found, self.images = [], [], [], []
            for record in bag.records([image_topic(bag)]):
                stamp = stamp_to_ns(record.message.header.stamp)
                self.stamps.append(stamp)
                self.truths.append(truths[stamp])
                self.images.append(to_rgb(record.message))
                self.found += detector.detect(self.images[-1:], low).detections
        if any(truth.ids is None for truth in self.truths if len(truth)):
            raise SystemExit(f'{path}: the ground truth has no ids; render the drive anew.')
        self.camera = CameraModel.from_camera_info(
            info.width, info.height, info.distortion_model, info.d, info.k, info.p, info.r)


def of_fitting_size(drive: Drive, settings: PositionSettings, mount: np.ndarray,
                    names: tuple[str, ...]) -> list[Detections]:
    """Return the detections whose size on the floor fits their class."""
    view = View(drive.camera, mount)
    return [found[plausible(found, view, settings, names)] for found in drive.found]


def tracked(drive: Drive, found: Sequence[Detections], settings: TrackSettings,
            threshold: float, names: tuple[str, ...]) -> list[Detections]:
    """Return what the node would publish with tracks."""
    stage = TrackStage(settings)
    prepare_stages([stage], PostprocessSettings(threshold), names)
    return [stage(Frame('', stamp, '', image), one)
            for stamp, image, one in zip(drive.stamps, drive.images, found)]


def untracked(found: Sequence[Detections], threshold: float) -> list[Detections]:
    """Return what the node publishes without tracks, each box under an id of its own."""
    result, first = [], 0
    for one in found:
        kept = one[one.scores >= threshold]
        result.append(Detections(kept.xyxy, kept.scores, kept.labels,
                                 np.arange(first, first + len(kept))))
        first += len(kept)
    return result


def in_full_view(drive: Drive) -> list[np.ndarray]:
    """Return for each frame which objects are in full view: bool (n,)."""
    shapes: dict[int, list[float]] = {}
    for truth in drive.truths:
        for box, number in zip(truth.xyxy, ids_of(truth)):
            shapes.setdefault(int(number), []).append((box[2] - box[0]) / (box[3] - box[1]))
    usual = {number: np.percentile(values, 90) for number, values in shapes.items()}
    result = []
    for truth in drive.truths:
        size = truth.xyxy[:, 2:] - truth.xyxy[:, :2]
        inside = ((truth.xyxy[:, :2] > 1).all(1) & (truth.xyxy[:, 2:] < np.array(
            [drive.camera.width, drive.camera.height]) - 1).all(1))
        whole = [shape >= OUT_OF_VIEW * usual[int(number)]
                 for shape, number in zip(size[:, 0] / size[:, 1], ids_of(truth))]
        result.append(inside & np.array(whole, bool))
    return result


@dataclass(frozen=True)
class Counts:
    """Boxes that are right and wrong, objects, and those in full view, all and missed."""

    right: int
    wrong: int
    objects: int
    seen: int
    missed: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other))))

    def shares(self) -> dict[str, float]:
        """Return precision, recall and the misses in full view."""
        return {'precision': self.right / max(self.right + self.wrong, 1),
                'recall': self.right / max(self.objects, 1),
                'missed in full view': self.missed / max(self.seen, 1)}


def score(drive: Drive, published: Sequence[Detections],
          min_height: float) -> tuple[dict[str, float], Counts]:
    """Return IDF1, also with perfect ids, HOTA and switches; and what precision follows from."""
    pairs, perfect, right, wrong, missed, seen = [], [], 0, 0, 0, 0
    for truth, found, full in zip(drive.truths, published, in_full_view(drive)):
        overlap = iou(truth.xyxy.astype(float), found.xyxy.astype(float))
        overlap[truth.labels[:, None] != found.labels] = 0
        high = truth.xyxy[:, 3] - truth.xyxy[:, 1] >= min_height
        object_of = np.full(len(found), -1)
        for k in np.argsort(-overlap, axis=None):
            i, j = divmod(int(k), max(len(found), 1))
            if overlap.size == 0 or overlap[i, j] < MATCH:
                break
            if object_of[j] < 0 and i not in object_of:
                object_of[j] = i
        small = overlap[~high].max(0, initial=0) > 0.2
        left_out = np.where(object_of >= 0, ~np.append(high, False)[object_of], small)
        hit = np.isin(np.arange(len(truth)), object_of)
        right += int((hit & high).sum())
        wrong += int((~left_out & (object_of < 0)).sum())
        seen += int((full & high).sum())
        missed += int((full & high & ~hit).sum())
        pairs.append((ids_of(truth)[high], ids_of(found)[~left_out], overlap[high][:, ~left_out]))
        false_ids = -1 - np.arange(len(found)) - MOST_BOXES * len(perfect)
        true_ids = np.where(object_of >= 0, np.append(ids_of(truth), 0)[object_of], false_ids)
        perfect.append((pairs[-1][0], true_ids[~left_out], pairs[-1][2]))
    objects = sum(len(pair[0]) for pair in pairs)
    return _tracking_metrics(pairs, perfect), Counts(right, wrong, objects, seen, missed)


def cost(drive: Drive, threshold: float, names: tuple[str, ...], with_images: bool) -> float:
    """Return the median CPU time of the stage for one image, milliseconds.

    Its objects are random boxes that move as the drive's camera turns; one that leaves the image
    comes back elsewhere.
    """
    rng, stage, motion, took = np.random.default_rng(0), TrackStage(TrackSettings()), \
        CameraMotion(), []
    prepare_stages([stage], PostprocessSettings(threshold), names)
    edge = np.array([drive.camera.width, drive.camera.height], float)
    centres, sizes = rng.uniform(0.1, 0.9, (OBJECTS, 2)) * edge, rng.uniform(25, 70, (OBJECTS, 2))
    for stamp, image in zip(drive.stamps, drive.images):
        turn = motion.turn(image)
        centres = centres if turn is None else turn.move(centres)
        gone = ((centres < 0.03 * edge) | (centres > 0.97 * edge)).any(1)
        centres[gone] = rng.uniform(0.1, 0.9, (OBJECTS, 2))[gone] * edge
        low = centres - sizes / 2 + rng.normal(0, 1, (OBJECTS, 2))
        found = Detections(np.clip(np.c_[low, low + sizes], 0, np.tile(edge, 2)),
                           -np.sort(-rng.uniform(0.3, 0.95, OBJECTS)),
                           np.arange(OBJECTS) % len(names))
        frame = Frame('', stamp, '', image if with_images else None)
        began = time.thread_time()
        stage(frame, found)
        took.append(1000 * (time.thread_time() - began))
    return statistics.median(took)


def _tracking_metrics(pairs: list, perfect: list) -> dict[str, float]:
    import trackeval  # measure_positions.py does without it

    metrics = trackeval.metrics
    data = _for_trackeval(pairs)
    with contextlib.redirect_stdout(io.StringIO()):
        identity = metrics.Identity().eval_sequence(data)
        best = metrics.Identity().eval_sequence(_for_trackeval(perfect))
        hota = metrics.HOTA().eval_sequence(data)
        clear = metrics.CLEAR().eval_sequence(data)
    return {'IDF1': float(identity['IDF1']), 'with perfect ids': float(best['IDF1']),
            'HOTA': float(hota['HOTA'].mean()), 'switches': float(clear['IDSW'])}


def _for_trackeval(pairs: list) -> dict[str, Any]:
    data: dict[str, Any] = {'num_timesteps': len(pairs),
                            'similarity_scores': [pair[2] for pair in pairs]}
    for name, place in (('gt', 0), ('tracker', 1)):
        every = np.unique(np.concatenate([pair[place] for pair in pairs]))
        data[f'{name}_ids'] = [np.searchsorted(every, pair[place]) for pair in pairs]
        data[f'num_{name}_ids'] = len(every)
        data[f'num_{name}_dets'] = sum(len(pair[place]) for pair in pairs)
    return data


def ids_of(detections: Detections) -> np.ndarray:
    """Return int64 (n,) ids; none where detections have none."""
    return np.zeros(0, np.int64) if detections.ids is None else detections.ids


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('drives', type=Path, nargs='+', help='recordings')
    parser.add_argument('--weights', default='', help='path or name (default: the shipped ones)')
    parser.add_argument('--score-threshold', type=float, nargs='+', default=[],
                        help='published thresholds (default: that of the weights)')
    parser.add_argument('--min-height', type=float, default=32.0, help='pixels (default: 32)')
    parser.add_argument('--mount', nargs='*', default=[], help='as the parameter camera_mount')
    parser.add_argument('--class-heights', nargs='*', default=[], help='as the parameter')
    defaults = TrackSettings()
    parser.add_argument('--confirm', type=int, nargs='+', default=[defaults.confirm])
    parser.add_argument('--cost', action='store_true', help='print the time of the stage instead')
    args = parser.parse_args()
    detector = Detector.from_weights(args.weights)
    thresholds = args.score_threshold or [detector.metadata.score_threshold]
    if not args.cost:
        print_table(args, detector, thresholds)
        return
    cv2.setNumThreads(1)
    for path in args.drives:
        drive = Drive(path, detector)
        print(f'{path.name}: {OBJECTS} objects, ms of CPU time an image: ' + ', '.join(
            f'{cost(drive, thresholds[0], detector.class_names, seen):.2f} {text}'
            for seen, text in ((True, 'with the image'), (False, 'without'))))


def print_table(args: argparse.Namespace, detector: Detector, thresholds: list[float]) -> None:
    """Print a row for each drive, threshold and way to publish, then the rows of all drives."""
    names, mount = detector.class_names, parse_mount(args.mount)
    size = PositionSettings(class_heights=parse_heights(args.class_heights))
    columns = ('drive', 'size check', 'threshold', 'tracks', 'IDF1', 'with perfect ids', 'HOTA',
               'switches', 'precision', 'recall', 'missed in full view')
    print(f'| {" | ".join(columns)} |\n' + '| --- ' * len(columns) + '|')
    sums: dict[tuple[str, float, str], Counts] = {}
    for path in args.drives:
        drive = Drive(path, detector)
        checked = {'no': drive.found}
        if mount is not None and size.class_heights:
            checked['yes'] = of_fitting_size(drive, size, mount, names)
        for (check, found), threshold in itertools.product(checked.items(), thresholds):
            ways = {'no': untracked(found, threshold), **{
                f'{n} confirmed': tracked(drive, found, TrackSettings(n), threshold, names)
                for n in args.confirm}}
            for way, published in ways.items():
                metrics, counts = score(drive, published, args.min_height)
                row = check, threshold, way
                sums[row] = sums[row] + counts if row in sums else counts
                _print_row(path.name, row, metrics, counts)
    for row, counts in sums.items() if len(args.drives) > 1 else ():
        _print_row('all', row, {}, counts)


def _print_row(name: str, row: tuple[str, float, str], metrics: dict[str, float],
               counts: Counts) -> None:
    cells = [f'{metrics[k]:.{0 if k == "switches" else 3}f}' if k in metrics else ''
             for k in ('IDF1', 'with perfect ids', 'HOTA', 'switches')]
    cells += [f'{v:.3f}' for v in counts.shares().values()]
    print(f'| {name} | {row[0]} | {row[1]:g} | {row[2]} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
