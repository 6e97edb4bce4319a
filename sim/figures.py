"""What drives were worth: success, errors of positions, ids that stay; as plain numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from sim import model
from sim.episode import DISTANCE, TOLERANCE, Drive, Moment, Settings

MAX_RANGE_M = 5.0
# A position belongs to a thing of its class that is no further off than this share of the range.
_GATE, _GATE_M = 0.3, 0.3


@dataclass(frozen=True)
class Match:
    """A published position and the thing that it is of.

    Attributes:
        thing: index into the course's; None where there is none of the class nearby.
        track: the published id.
        xy: estimated, (2,), in the course's frame, metres.
        range_m, true_range_m: from the camera.
        sigmas: distance from the truth on the floor in standard deviations (Mahalanobis).
    """

    thing: int | None
    track: str
    xy: np.ndarray
    range_m: float
    true_range_m: float
    sigmas: float


def matches(drive: Drive, moment: Moment) -> list[Match]:
    """Return an image's positions beside the truth: each thing belongs to one at most."""
    if moment.positions is None:
        return []
    found = moment.positions.detections
    camera = np.array([model.CAMERA_X, 0.0])
    true = to_base(moment.places, moment.pose)
    estimated = np.array([[d.bbox.center.position.x, d.bbox.center.position.y]
                          for d in found]).reshape(-1, 2)
    cost = np.linalg.norm(estimated[:, None] - true[None], axis=-1)
    names = [d.results[0].hypothesis.class_id for d in found]
    other = np.array([[name != thing.class_name for thing in drive.course.things]
                      for name in names], bool).reshape(cost.shape)
    gate = _GATE_M + _GATE * np.linalg.norm(true - camera, axis=1)
    cost = np.where(other | (cost > gate), 1e3, cost)
    pairs = {i: j for i, j in zip(*linear_sum_assignment(cost)) if cost[i, j] < 1e3}
    result = []
    for i, detection in enumerate(found):
        j = pairs.get(i)
        off = estimated[i] - true[j] if j is not None else np.full(2, math.nan)
        covariance = np.array(detection.results[0].pose.covariance).reshape(6, 6)[:2, :2]
        result.append(Match(
            j, detection.id, from_base(estimated[i], moment.pose),
            float(np.linalg.norm(estimated[i] - camera)),
            math.nan if j is None else float(np.linalg.norm(true[j] - camera)),
            float(np.sqrt(off @ np.linalg.solve(covariance, off)))))
    return result


def to_base(points: np.ndarray, pose: tuple[float, float, float]) -> np.ndarray:
    """Return points (n, 2) of the course's frame in base_link at a pose."""
    x, y, heading = pose
    cos, sin = math.cos(heading), math.sin(heading)
    return (points - [x, y]) @ np.array([[cos, -sin], [sin, cos]])


def from_base(points: np.ndarray, pose: tuple[float, float, float]) -> np.ndarray:
    """Return points (..., 2) of base_link at a pose in the course's frame."""
    x, y, heading = pose
    cos, sin = math.cos(heading), math.sin(heading)
    return points @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def course_figures(drive: Drive) -> dict:
    """Return one drive's figures."""
    return {'seed': drive.course.seed, 'kind': drive.course.kind, 'success': not drive.failure,
            'failure': drive.failure, 'distance_m': round(drive.distance, 3),
            'touched': drive.touched, 'seconds': round(drive.seconds, 2),
            'images': len(drive.moments), 'images_lost': drive.lost}


def figures(drives: Sequence[Drive], settings: Settings) -> dict:
    """Return the figures of all drives."""
    found = [(drive, match) for drive in drives for moment in drive.moments
             for match in matches(drive, moment)]
    near = [m for _, m in found if m.thing is not None and m.true_range_m <= MAX_RANGE_M]
    errors = [abs(m.range_m - m.true_range_m) / m.true_range_m for m in near]
    kinds = {kind: [not d.failure for d in drives if d.course.kind == kind]
             for kind in sorted({d.course.kind for d in drives})}
    return {
        'courses': len(drives), 'succeeded': sum(not d.failure for d in drives),
        'by_kind': {kind: f'{sum(row)} of {len(row)}' for kind, row in kinds.items()},
        'wanted': f'{DISTANCE} m +- {TOLERANCE} from the right cone, nothing touched',
        'latency_s': settings.latency_s, 'loss': settings.loss,
        'positions': {
            'count': len(near), 'without_an_object': sum(m.thing is None for _, m in found),
            'range_error_median': _quantile(errors, 0.5),
            'range_error_p95': _quantile(errors, 0.95),
            # 86.5 % of a normal distribution in the plane lie within 2 sigma
            'within_2_sigma': _share([m.sigmas <= 2 for m in near]),
            'within_3_sigma': _share([m.sigmas <= 3 for m in near])},
        'tracks': _tracks(drives),
        'each': [course_figures(drive) for drive in drives]}


def _tracks(drives: Sequence[Drive]) -> dict:
    """Return IDF1 of the ids on positions (Ristani 2016), over things that were located."""
    true_positives = total = 0
    ids_per_thing = []
    for drive in drives:
        together: Counter[tuple[int, str]] = Counter()
        located: Counter[int] = Counter()
        tracks: Counter[str] = Counter()
        for moment in drive.moments:
            for match in matches(drive, moment):
                tracks[match.track] += 1
                if match.thing is not None:
                    together[match.thing, match.track] += 1
                    located[match.thing] += 1
        things, names = sorted(located), sorted(tracks)
        table = np.array([[together[t, n] for n in names] for t in things]).reshape(
            len(things), len(names))
        rows, columns = linear_sum_assignment(-table)
        true_positives += int(table[rows, columns].sum())
        total += sum(located.values()) + sum(tracks.values())
        ids_per_thing += [int((row > 0).sum()) for row in table]
    return {'idf1_of_located': None if not total else round(2 * true_positives / total, 4),
            'ids_per_thing': None if not ids_per_thing else round(float(np.mean(ids_per_thing)),
                                                                  3)}


def _quantile(values: Sequence[float], share: float) -> float | None:
    return round(float(np.quantile(values, share)), 4) if values else None


def _share(values: Sequence[bool]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None
