"""Precision, recall and F1 at a score threshold, and the choice of the default threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.evaluation.voc import Curve

GRID = np.arange(5, 96) / 100
# Thresholds whose F1 is this close to the best one count as equally good.
PLATEAU = 0.002


@dataclass(frozen=True)
class OperatingPoint:
    """What a score threshold gives: every detection and every object counts once.

    Attributes:
        threshold: detections of this score or more count, in [0, 1].
        precision, recall, f1: in [0, 1]; NaN where there is no object to find.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


def at_threshold(curves: Sequence[Curve], threshold: float) -> OperatingPoint:
    """Return the operating point of all classes together; precision is 0 without detections.

    Args:
        curves: one per class.
    """
    objects = sum(curve.objects for curve in curves)
    if not objects:
        return OperatingPoint(threshold, math.nan, math.nan, math.nan)
    kept = [int((curve.scores >= threshold).sum()) for curve in curves]
    hits = sum(curve.true[:n].sum() for curve, n in zip(curves, kept))
    precision, recall = float(hits / max(1, sum(kept))), float(hits / objects)
    f1 = 2 * precision * recall / max(1e-12, precision + recall)
    return OperatingPoint(threshold, round(precision, 4), round(recall, 4), round(f1, 4))


def over_thresholds(curves: Sequence[Curve]) -> list[OperatingPoint]:
    """Return the operating points along ``GRID``."""
    return [at_threshold(curves, threshold) for threshold in GRID.tolist()]


def best_threshold(sets: Sequence[Sequence[Curve]], at_least: float = 0.0) -> float:
    """Return the threshold with the best mean F1 over ``sets``, each of which weighs the same.

    The middle one of the thresholds within ``PLATEAU`` of the best mean F1 is taken: at the edge
    of that range a few other images would make F1 fall.

    Args:
        sets: one curve per class of each set of images; sets without objects do not count.
        at_least: lower thresholds are not considered.

    Returns:
        A value of ``GRID``; its middle where no set has an object.
    """
    grid = GRID[GRID >= min(at_least, GRID[-1]) - 1e-9]
    f1 = np.array([[point.f1 for point in over_thresholds(curves)] for curves in sets
                   if any(curve.objects for curve in curves)] or [[0.0] * len(GRID)]).mean(0)
    f1 = f1[-len(grid):]
    plateau = grid[f1 >= f1.max() - PLATEAU]
    return round(float(plateau[len(plateau) // 2]), 2)


def least_threshold(negatives: Sequence[Detections], rate: float) -> float:
    """Return the lowest value of ``GRID`` with at most ``rate`` false boxes an image.

    Args:
        negatives: what was detected in images that hold none of the classes.
    """
    scores = np.concatenate([found.scores for found in negatives] or [np.zeros(0)])
    allowed = rate * len(negatives)
    return next((t for t in GRID.tolist() if (scores >= t).sum() <= allowed), float(GRID[-1]))


def best_f1(curves: Sequence[Curve]) -> OperatingPoint | None:
    """Return the operating point at ``best_threshold``; None without objects."""
    if not any(curve.objects for curve in curves):
        return None
    return at_threshold(curves, best_threshold([curves]))
