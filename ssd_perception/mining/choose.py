"""Choose frames worth labelling: uncertain, different from each other, and apart in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.times import FrameTimes
from ssd_perception.replay.work_folder import FrameResult

# Least uncertainty of a frame, also if the detector is sure of everything in it: unusual features
# may come from an object that it missed.
_SURE = 0.1


@dataclass(frozen=True)
class Choice:
    """One chosen frame and why.

    Attributes:
        place: its index into the frames given.
        uncertainty: see ``ScoreThresholds.frame_uncertainty``.
        novelty: distance of its features to those of the nearest frame chosen before, 1 for the
            farthest in the recording; None for the first, and without features.
    """

    place: int
    uncertainty: float
    novelty: float | None


def choose_mined(results: Sequence[FrameResult], thresholds: ScoreThresholds,
                 elapsed_ns: np.ndarray, features: np.ndarray | None, count: int, apart_ns: int,
                 least_novelty: float = 0.0) -> list[Choice]:
    """Return up to ``count`` frames, the most useful first.

    The first is the most uncertain; then, again and again, the one whose uncertainty times its
    distance to all chosen ones is greatest (farthest-first, weighted). Frames of one camera are at
    least ``apart_ns`` apart, so there may be fewer than ``count``.

    Args:
        elapsed_ns: int64 (n,), when each frame was taken; see ``elapsed``.
        features: (n, d) of the backbone; None leaves novelty out.
        least_novelty: frames nearer than this to a chosen one, as a share of the farthest
            distance, are never chosen.
    """
    uncertainty = frame_uncertainty(results, thresholds)
    weights = _SURE + (1 - _SURE) * uncertainty / max(uncertainty.max(initial=0.0), 1e-12)
    free = np.array([not result.error for result in results], bool)
    topics = np.array([result.topic for result in results])
    distances = np.full(len(results), np.inf)
    farthest = 1.0
    chosen: list[Choice] = []
    while len(chosen) < count and free.any():
        novelty = np.minimum(distances / farthest, 1.0) if features is not None \
            else np.ones(len(results))
        place = int(np.where(free, weights * novelty, -1.0).argmax())
        chosen.append(Choice(place, float(uncertainty[place]),
                             float(novelty[place]) if chosen and features is not None else None))
        free &= ~((topics == topics[place]) & (np.abs(elapsed_ns - elapsed_ns[place]) < apart_ns))
        free[place] = False
        if features is not None:
            distances = np.minimum(distances,
                                   np.linalg.norm(features - features[place], axis=1))
            if len(chosen) == 1:
                farthest = max(float(distances.max()), 1e-12)
            free &= distances >= least_novelty * farthest
    return chosen


def choose_random(results: Sequence[FrameResult], thresholds: ScoreThresholds, count: int,
                  seed: int) -> list[Choice]:
    """Return ``count`` frames at random, to compare the others with."""
    readable = [i for i, result in enumerate(results) if not result.error]
    places = np.random.default_rng(seed).permutation(readable)[:count]
    return _without_novelty(sorted(places.tolist()), results, thresholds)


def choose_even(results: Sequence[FrameResult], thresholds: ScoreThresholds,
                count: int) -> list[Choice]:
    """Return ``count`` frames evenly spread over the recording, to compare the others with."""
    readable = [i for i, result in enumerate(results) if not result.error]
    places = np.linspace(0, len(readable) - 1, min(count, len(readable))).round().astype(int)
    return _without_novelty([readable[i] for i in places], results, thresholds)


def elapsed(results: Sequence[FrameResult], times: FrameTimes) -> np.ndarray:
    """Return int64 (n,): ns from the recording's first frame to each; 0 if not decoded."""
    return np.array([0 if result.error else times.elapsed_ns(result) for result in results],
                    np.int64)


def frame_uncertainty(results: Sequence[FrameResult], thresholds: ScoreThresholds) -> np.ndarray:
    """Return float64 (n,): ``ScoreThresholds.frame_uncertainty`` of every frame."""
    return np.array([thresholds.frame_uncertainty(result.detections) for result in results])


def _without_novelty(places: Sequence[int], results: Sequence[FrameResult],
                     thresholds: ScoreThresholds) -> list[Choice]:
    return [Choice(place, thresholds.frame_uncertainty(results[place].detections), None)
            for place in places]
