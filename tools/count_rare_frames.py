"""Count the frames with a rare class that each way of choosing frames finds.

    python tools/count_rare_frames.py DRIVE [DRIVE ...]

Takes recordings with ground truth, as demo/render_drive.py makes them. A class is made rare: of
the frames that show it three in a row are left, drawn at random, and put at a random place among
all that do not show it, at 10 Hz. Then `bag_to_voc`'s ways choose ten. It prints the share of
draws in which a frame with the class is among them, and how many of the three are in the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from ssd_perception.bags.frames import labelled_frames
from ssd_perception.evaluation.accuracy import MAX_DETECTIONS
from ssd_perception.inference.detector import Detector
from ssd_perception.mining.choose import choose_even, choose_mined, choose_random
from ssd_perception.mining.features import Features
from ssd_perception.replay.thresholds import ScoreThresholds

CHOSEN, LEFT, STEP_NS, APART_NS = 10, 3, 100_000_000, 200_000_000
FEWEST = 25  # frames without the class
DRAWS = 60


def rare_among_chosen(results: Sequence, features: np.ndarray, shows: np.ndarray,
                      thresholds: ScoreThresholds, draws: int = DRAWS
                      ) -> Mapping[str, list[int]]:
    """Return way -> of each draw, how many of the frames that show the class were chosen.

    Args:
        results: n frames, as ``choose_mined`` takes them.
        features: (n, d).
        shows: bool (n,), the frames that show the class.
    """
    rng = np.random.default_rng(0)
    found: dict[str, list[int]] = {'mined': [], 'even': [], 'random': []}
    for draw in range(draws):
        with_it, pool = np.flatnonzero(shows), np.flatnonzero(~shows)
        first = rng.integers(len(with_it) - LEFT + 1)
        rare = with_it[first:first + LEFT]
        pool = np.insert(pool, rng.integers(len(pool) + 1), rare)
        frames, times_ns = [results[i] for i in pool], np.arange(len(pool)) * STEP_NS
        for way, choices in (
                ('mined', choose_mined(frames, thresholds, times_ns, features[pool], CHOSEN,
                                       APART_NS)),
                ('even', choose_even(frames, thresholds, CHOSEN)),
                ('random', choose_random(frames, thresholds, CHOSEN, draw))):
            found[way].append(len({pool[choice.place] for choice in choices} & set(rare)))
    return found


def main() -> None:
    """Print a row for each recording and class that can be made rare, and their mean."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('drives', type=Path, nargs='+')
    parser.add_argument('--weights', default='rover')
    args = parser.parse_args()
    detector = Detector.from_weights(args.weights)
    assert detector.path is not None
    thresholds = ScoreThresholds(detector.settings, detector.class_names)
    low = replace(detector.settings, score_threshold=thresholds.lowest,
                  max_detections=MAX_DETECTIONS)
    features = Features(detector.path, 'cpu')
    total: dict[str, list[int]] = {}
    for drive in args.drives:
        frames = list(labelled_frames(drive, detector.class_names))
        results = [SimpleNamespace(error='', topic='', detections=found) for frame in frames
                   for found in detector.detect([frame.image], low).detections]
        vectors = np.concatenate([features([frame.image]) for frame in frames])
        for label, name in enumerate(detector.class_names):
            shows = np.array([label in frame.labels for frame in frames])
            if np.count_nonzero(~shows) < FEWEST or shows.sum() < LEFT:
                continue
            found = rare_among_chosen(results, vectors, shows, thresholds)
            print(f'{drive.name}, {name}: {_row(found)}')
            for way, counts in found.items():
                total.setdefault(way, []).extend(counts)
    print(f'all: {_row(total)}')


def _row(found: Mapping[str, Sequence[int]]) -> str:
    return '; '.join(f'{way} {np.mean(np.array(counts) > 0):.0%}, {np.mean(counts):.2f} of {LEFT}'
                     for way, counts in found.items())


if __name__ == '__main__':
    main()
