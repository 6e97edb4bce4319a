"""False detections on pictures that hold none of the classes: what a robot sees all day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ssd_perception.core.detections import Detections


def false_boxes(detections: Sequence[Detections], threshold: float) -> dict:
    """Count what was detected although nothing is there.

    Args:
        detections: one entry per picture, at a threshold not above ``threshold``.
        threshold: score from which on a detection counts.

    Returns:
        ``images``, ``score_threshold``, ``false_boxes``, ``images_with_false_boxes``, and
        ``highest_score``, None where nothing at all was detected.
    """
    counts = [int((found.scores >= threshold).sum()) for found in detections]
    scores = np.concatenate([np.zeros(0), *(found.scores for found in detections)])
    return {'images': len(counts), 'score_threshold': threshold, 'false_boxes': sum(counts),
            'images_with_false_boxes': sum(count > 0 for count in counts),
            'highest_score': round(float(scores.max()), 5) if len(scores) else None}


def describe_false_boxes(figures: dict) -> str:
    """Return ``false_boxes``' counts as a phrase."""
    boxes = figures['false_boxes']
    where = figures['images_with_false_boxes']
    return (f'{boxes or "no"} false box{"" if boxes == 1 else "es"} on {figures["images"]} '
            f'pictures without these classes' + (f', in {where} of them' if boxes else ''))
