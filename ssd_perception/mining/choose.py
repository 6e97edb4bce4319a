"""Choose the frames of a recording that are worth labelling: unsure, unlike each other, apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.replay.chunks import Answer
from ssd_perception.replay.uncertain import uncertainty

# What a frame counts where the detector is sure of everything: a surprise among the features may
# be an object that it missed altogether.
_SURE = 0.1


@dataclass(frozen=True)
class Choice:
    """One chosen frame and why.

    Attributes:
        place: its index into the frames given.
        uncertainty: see ``frame_uncertainty``.
        novelty: distance of its features to those of the nearest frame chosen before, 1 for the
            farthest in the recording; None for the first, and without features.
    """

    place: int
    uncertainty: float
    novelty: float | None


def frame_uncertainty(answers: Sequence[Answer], thresholds: np.ndarray) -> np.ndarray:
    """Return float64 (n,): the sum over a frame's detections, from half the threshold on.

    The sum rather than the worst detection (Brust et al., "Active Learning for Deep Object
    Detection", 2019, compare both): a frame with three doubtful boxes teaches more than one with
    a single one, and costs a person little more.

    Args:
        thresholds: (C,), one per class; above 1 for a class that is not wanted.
    """
    sums = np.zeros(len(answers))
    for i, answer in enumerate(answers):
        found = answer.detections
        near = found.scores >= thresholds[found.labels] / 2
        sums[i] = uncertainty(found, thresholds)[near].sum()
    return sums


def choose_mined(answers: Sequence[Answer], thresholds: np.ndarray, features: np.ndarray | None,
                 count: int, apart_ns: int) -> list[Choice]:
    """Return up to ``count`` frames, the most useful first.

    The first is the most uncertain; then, again and again, the one whose uncertainty times its
    distance to all chosen ones is greatest (farthest-first, weighted). Frames of one camera are at
    least ``apart_ns`` apart, so there may be fewer than ``count``.

    Args:
        features: (n, d) of the backbone; None leaves novelty out.
    """
    doubts = frame_uncertainty(answers, thresholds)
    weights = _SURE + (1 - _SURE) * doubts / max(doubts.max(initial=0.0), 1e-12)
    free = np.array([not answer.error for answer in answers], bool)
    stamps = np.array([answer.stamp_ns for answer in answers], np.int64)
    topics = np.array([answer.topic for answer in answers])
    distances = np.full(len(answers), np.inf)
    farthest = 1.0
    chosen: list[Choice] = []
    while len(chosen) < count and free.any():
        novelty = np.minimum(distances / farthest, 1.0) if features is not None \
            else np.ones(len(answers))
        place = int(np.where(free, weights * novelty, -1.0).argmax())
        chosen.append(Choice(place, float(doubts[place]),
                             float(novelty[place]) if chosen and features is not None else None))
        free &= ~((topics == topics[place]) & (np.abs(stamps - stamps[place]) < apart_ns))
        free[place] = False
        if features is not None:
            distances = np.minimum(distances,
                                   np.linalg.norm(features - features[place], axis=1))
            if len(chosen) == 1:
                farthest = max(float(distances.max()), 1e-12)
    return chosen


def choose_random(answers: Sequence[Answer], thresholds: np.ndarray, count: int,
                  seed: int) -> list[Choice]:
    """Return ``count`` frames at random, to compare the others with."""
    there = [i for i, answer in enumerate(answers) if not answer.error]
    places = np.random.default_rng(seed).permutation(there)[:count]
    return _plain(sorted(places.tolist()), answers, thresholds)


def choose_even(answers: Sequence[Answer], thresholds: np.ndarray, count: int) -> list[Choice]:
    """Return ``count`` frames evenly spread over the recording, to compare the others with."""
    there = [i for i, answer in enumerate(answers) if not answer.error]
    places = np.linspace(0, len(there) - 1, min(count, len(there))).round().astype(int)
    return _plain([there[i] for i in places], answers, thresholds)


def _plain(places: Sequence[int], answers: Sequence[Answer],
           thresholds: np.ndarray) -> list[Choice]:
    doubts = frame_uncertainty(answers, thresholds)
    return [Choice(place, float(doubts[place]), None) for place in places]
