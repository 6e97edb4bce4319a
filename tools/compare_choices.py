"""Compare the ways of choosing frames by what a training gains from the frames.

    python tools/compare_choices.py CONE_CUBE --weights photographs.safetensors \
        --pool drive_9103 drive_9104 --test drive_9106 drive_9108 --out common.jsonl
    python tools/compare_choices.py CONE_CUBE --weights photographs.safetensors \
        --pool drive_9102 drive_9105 --test drive_9106 drive_9108 --rare cube --out rare.jsonl
    python tools/compare_choices.py --summary common.jsonl rare.jsonl

Takes recordings with ground truth, as demo/render_drive.py makes them; those of --pool count as
one recording at 10 Hz. For each seed a part of it is offered: 60 % of it in a row, or with --rare
all frames without the class and three in a row that show it, drawn at random and put at a random
place, as tools/count_rare_frames.py does. Each way chooses ten; their ground truth replaces the
person. config/train/new_place.yaml goes on from the weights with these beside the photographs of
CONE_CUBE. A row of the result is one training; those that are there are not made again.

Mining is better beyond the spread, if in COCO AP at the place (in either recording) or of the rare
class its mean difference over the seeds is more than two standard errors above 0, both to even and
to random choice, and in none of these more than two below.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np

from ssd_perception.bags.frames import LabelledFrame, labelled_frames
from ssd_perception.data.layout import read_split
from ssd_perception.data.sample import Sample
from ssd_perception.data.writers import LabelledImage, voc_annotation
from ssd_perception.evaluation.accuracy import MAX_DETECTIONS, evaluate
from ssd_perception.inference.detector import Detector
from ssd_perception.mining.choose import choose_even, choose_mined, choose_random
from ssd_perception.mining.features import Features
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.training.run import TrainOptions
from ssd_perception.training.run import run as train

RECIPE = Path(__file__).parents[1] / 'config/train/new_place.yaml'
NAMES = ('cone', 'cube')
CHOSEN, REPEAT, LEFT, SHARE = 10, 40, 3, 0.6
STEP_NS, APART_NS = 100_000_000, 200_000_000
TEST_EVERY = 2  # frames of the drives measured on; neighbours are alike


class Pool:
    """The frames to choose from, with what the detector that fails found in each."""

    def __init__(self, frames: Sequence[LabelledFrame], weights: Path, rare: str):
        detector = Detector.from_weights(str(weights))
        self.frames, self._rare = frames, NAMES.index(rare) if rare else None
        self._thresholds = ScoreThresholds(detector.settings, detector.class_names)
        low = replace(detector.settings, score_threshold=self._thresholds.lowest,
                      class_thresholds=(), max_detections=MAX_DETECTIONS)
        features = Features(weights, 'cpu')
        self._results = [SimpleNamespace(error='', topic='', detections=found)
                         for frame in frames
                         for found in detector.detect([frame.image], low).detections]
        self._features = np.concatenate([features([frame.image]) for frame in frames])

    def shows_rare(self) -> np.ndarray:
        """Return bool (n,): the frames with the class that is made rare."""
        return np.array([self._rare in frame.labels for frame in self.frames])

    def offered(self, seed: int) -> np.ndarray:
        """Return the places of the frames that may be chosen, in the order of the recording."""
        rng, count = np.random.default_rng(seed), len(self.frames)
        if self._rare is None:
            part = round(SHARE * count)
            return np.arange(part) + rng.integers(count - part + 1)
        shows = self.shows_rare()
        starts = [i for i in range(count - LEFT + 1) if shows[i:i + LEFT].all()]
        rest = np.flatnonzero(~shows)
        return np.insert(rest, rng.integers(len(rest) + 1), rng.choice(starts) + np.arange(LEFT))

    def choose(self, way: str, seed: int) -> list[int]:
        """Return the places of the chosen frames."""
        places = self.offered(seed)
        results = [self._results[i] for i in places]
        if way == 'even':
            choices = choose_even(results, self._thresholds, CHOSEN)
        elif way == 'random':
            choices = choose_random(results, self._thresholds, CHOSEN, seed)
        else:
            choices = choose_mined(results, self._thresholds, np.arange(len(places)) * STEP_NS,
                                   self._features[places], CHOSEN, APART_NS)
        return [int(places[choice.place]) for choice in choices]


def write_voc(folder: Path, frames: Mapping[str, LabelledFrame]) -> list[Sample]:
    """Write stem -> frame as a Pascal VOC folder with the split ``train``, and read it."""
    for name in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (folder / name).mkdir(parents=True)
    for stem, frame in frames.items():
        height, width = frame.image.shape[:2]
        image = LabelledImage(stem, '.png', width, height, frame.xyxy,
                              tuple(NAMES[label] for label in frame.labels),
                              (1.0,) * len(frame.labels))
        cv2.imwrite(str(folder / 'JPEGImages' / image.file), frame.image[:, :, ::-1])
        (folder / 'Annotations' / f'{stem}.xml').write_bytes(
            voc_annotation(image, folder.name, whole=False))
    (folder / 'ImageSets/Main/train.txt').write_text(''.join(f'{stem}\n' for stem in frames))
    return read_split(folder, 'train')


def figures(weights: Path, sets: Mapping[str, Sequence[Sample]]) -> dict:
    """Return COCO AP of every set, of all classes and of each."""
    detector, found = Detector.from_weights(str(weights), 'torch', 'cpu'), {}
    for name, samples in sets.items():
        accuracy = evaluate(detector, samples)
        found[name] = {'coco_ap': accuracy.coco_ap, 'voc10_ap50': accuracy.voc10_ap50,
                       **{key: one.coco_ap for key, one in accuracy.per_class.items()}}
    return found


def compare(args: argparse.Namespace) -> None:
    """Train on the frames that each way chooses, seed after seed; write a row for each."""
    done = {(row['chosen_by'], row['seed']) for row in rows(args.out)}
    pool = Pool([frame for drive in args.pool for frame in labelled_frames(drive, NAMES)],
                args.weights, args.rare)
    with tempfile.TemporaryDirectory(dir=args.out.absolute().parent) as folder:
        work = Path(folder)
        sets = {'place': write_voc(work / 'test', {
                    f'{drive.name}_{i:03}': frame for drive in args.test
                    for i, frame in enumerate(labelled_frames(drive, NAMES))
                    if i % TEST_EVERY == 0}),
                'home': read_split(args.data, 'val')}
        if ('none', 0) not in done:
            write_row(args.out, {'chosen_by': 'none', 'seed': 0,
                                 **figures(args.weights, sets)})
        for seed in range(1, args.seeds + 1):
            for way in ('mined', 'even', 'random'):
                if (way, seed) in done:
                    continue
                places = pool.choose(way, seed)
                chosen = {f'frame_{i:03}': pool.frames[i] for i in places}
                write_voc(work / 'new', chosen)
                result = train(TrainOptions(
                    [args.data, work / 'new'], work / 'run', RECIPE,
                    (f'seed={seed}', *args.set), str(args.weights), [1, REPEAT],
                    val_split='none'))
                assert result.weights is not None
                write_row(args.out, {
                    'chosen_by': way, 'seed': seed, 'frames': places,
                    'rare_frames': int(pool.shows_rare()[places].sum()) if args.rare else None,
                    'objects': sum(len(frame.labels) for frame in chosen.values()),
                    **figures(result.weights, sets)})
                for name in ('new', 'run'):
                    shutil.rmtree(work / name)


def rows(path: Path) -> list[dict]:
    """Return the rows that were written; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def write_row(path: Path, row: dict) -> None:
    """Append a row, and print it."""
    with path.open('a') as file:
        file.write(json.dumps(row) + '\n')
    print(json.dumps(row), flush=True)


def summary(path: Path) -> None:
    """Print the mean of each way, and what mined has more than the others, seed by seed.

    The differences are paired, because a seed offers the same frames to every way and trains with
    the same random numbers. More than two standard errors is better beyond the spread.
    """
    table = {(row['chosen_by'], row['seed']): row for row in rows(path)}
    seeds = [seed for way, seed in table if way == 'random']
    kinds = [('place', key) for key in ('coco_ap', *NAMES)] + [('home', 'coco_ap')]
    print(f'{path.name}, seeds {seeds}')
    for where, key in kinds:
        values = {way: np.array([table[way, seed][where][key] for seed in seeds])
                  for way in ('mined', 'even', 'random')}
        line = f'{where} {key}: none {table["none", 0][where][key]:.4f}'
        for way, found in values.items():
            line += f', {way} {found.mean():.4f} (sd {found.std(ddof=1):.4f})'
        for way in ('even', 'random'):
            more = values['mined'] - values[way]
            line += (f'; mined - {way} {more.mean():+.4f}, standard error '
                     f'{more.std(ddof=1) / len(more) ** 0.5:.4f}')
        print(line)


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, nargs='?', help='the photographs, train and val')
    parser.add_argument('--weights', type=Path, help='where the training begins')
    parser.add_argument('--pool', type=Path, nargs='+', default=[], metavar='DRIVE')
    parser.add_argument('--test', type=Path, nargs='+', default=[], metavar='DRIVE')
    parser.add_argument('--rare', choices=NAMES, default='', help='class to make rare')
    parser.add_argument('--set', nargs='*', default=(), metavar='KEY=VALUE', help='of the recipe')
    parser.add_argument('--seeds', type=int, default=5, metavar='N')
    parser.add_argument('--out', type=Path, help='JSON lines, one a training')
    parser.add_argument('--summary', type=Path, nargs='+', default=[], metavar='FILE')
    args = parser.parse_args()
    for path in args.summary:
        summary(path)
    if not args.summary:
        compare(args)


if __name__ == '__main__':
    main()
