"""Random detections and truths for the tests of this folder."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ssd_perception.core.detections import Detections, GroundTruth

CLASSES = 2
# A coarse grid and few scores: equal scores, equal overlaps, overlaps of exactly one half and
# the same box twice come up all the time.
_side = st.integers(1, 4)
_place = st.integers(0, 4)
box = st.tuples(_place, _place, _side, _side).map(lambda b: (b[0], b[1], b[0] + b[2],
                                                             b[1] + b[3]))
label = st.integers(0, CLASSES - 1)
score = st.sampled_from([0.125, 0.25, 0.5, 0.75, 0.875])


def detections_of(rows) -> Detections:
    """Return Detections of (box, score, label) rows, which may be in any order."""
    rows = sorted(rows, key=lambda row: -row[1])
    return Detections([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def truth_of(rows) -> GroundTruth:
    """Return the GroundTruth of (box, label, difficult) rows."""
    return GroundTruth(np.array([r[0] for r in rows], float).reshape(-1, 4),
                       np.array([r[1] for r in rows], int),
                       np.array([r[2] for r in rows], bool))


image = st.tuples(st.lists(st.tuples(box, score, label), max_size=6).map(detections_of),
                  st.lists(st.tuples(box, label, st.booleans()), max_size=4).map(truth_of))
case = st.lists(image, min_size=1, max_size=4).map(lambda images: tuple(zip(*images)))


def photographs(seed: int, classes: int = 3, images: int = 30, difficult: float = 0.0):
    """Return detections and truths as a middling detector gives them; no two scores alike."""
    rng = np.random.default_rng(seed)
    detections, truths = [], []
    for _ in range(images):
        n = rng.integers(0, 6)
        low = rng.uniform(0, 400, (n, 2))
        boxes = np.concatenate([low, low + rng.uniform(20, 150, (n, 2))], 1)
        labels = rng.integers(0, classes, n)
        truths.append(GroundTruth(boxes, labels, rng.random(n) < difficult))
        seen = rng.permutation(np.repeat(np.arange(n), rng.integers(0, 3, n)))  # some twice
        noisy = boxes[seen] + rng.normal(0, 5, (len(seen), 4))
        low = rng.uniform(0, 400, (rng.integers(0, 4), 2))
        noisy = np.concatenate([noisy, np.concatenate([low, low + rng.uniform(20, 90, low.shape)],
                                                      1)])
        noisy = np.concatenate([np.minimum(noisy[:, :2], noisy[:, 2:] - 1), noisy[:, 2:]], 1)
        said = np.where(rng.random(len(noisy)) < 0.85,
                        np.concatenate([labels[seen], rng.integers(0, classes, len(low))]),
                        rng.integers(0, classes, len(noisy)))
        detections.append(detections_of(list(zip(noisy, rng.random(len(noisy)), said))))
    return detections, truths
