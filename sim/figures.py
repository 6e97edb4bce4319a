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


@dataclass(frozen=True)
class CourseFigures:
    """One drive: how it ended (``failure`` is empty after success) and what it took."""

    seed: int
    kind: str
    success: bool
    failure: str
    distance_m: float
    touched: Sequence[str]
    seconds: float
    images: int
    images_lost: int


@dataclass(frozen=True)
class PositionFigures:
    """Errors of the positions of things nearer than ``MAX_RANGE_M``; None without any.

    86.5 % of a normal distribution in the plane lie within 2 sigma.
    """

    count: int
    without_an_object: int
    range_error_median: float | None
    range_error_p95: float | None
    within_2_sigma: float | None
    within_3_sigma: float | None


@dataclass(frozen=True)
class TrackFigures:
    """IDF1 of the ids on positions (Ristani 2016), over things that were located."""

    idf1_of_located: float | None
    ids_per_thing: float | None


@dataclass(frozen=True)
class DriveSummary:
    """The figures of all drives; ``wall_s`` is the time that they took on this machine."""

    courses: int
    succeeded: int
    by_kind: dict[str, str]
    wanted: str
    latency_s: float
    loss: float
    positions: PositionFigures
    tracks: TrackFigures
    each: tuple[CourseFigures, ...]
    wall_s: float


def course_figures(drive: Drive) -> CourseFigures:
    """Return one drive's figures."""
    return CourseFigures(
        drive.course.seed, drive.course.kind, not drive.failure, drive.failure,
        round(drive.distance, 3), drive.touched, round(drive.seconds, 2), len(drive.moments),
        drive.lost)


def figures(drives: Sequence[Drive], settings: Settings, wall_s: float = 0.0) -> DriveSummary:
    """Return the figures of all drives."""
    found = [(drive, match) for drive in drives for moment in drive.moments
             for match in matches(drive, moment)]
    near = [m for _, m in found if m.thing is not None and m.true_range_m <= MAX_RANGE_M]
    errors = [abs(m.range_m - m.true_range_m) / m.true_range_m for m in near]
    kinds = {kind: [not d.failure for d in drives if d.course.kind == kind]
             for kind in sorted({d.course.kind for d in drives})}
    return DriveSummary(
        len(drives), sum(not d.failure for d in drives),
        {kind: f'{sum(row)} of {len(row)}' for kind, row in kinds.items()},
        f'{DISTANCE} m +- {TOLERANCE} from the right cone, nothing touched',
        settings.latency_s, settings.loss,
        PositionFigures(len(near), sum(m.thing is None for _, m in found),
                        _quantile(errors, 0.5), _quantile(errors, 0.95),
                        _share([m.sigmas <= 2 for m in near]),
                        _share([m.sigmas <= 3 for m in near])),
        _tracks(drives), tuple(course_figures(drive) for drive in drives), round(wall_s, 1))


def _tracks(drives: Sequence[Drive]) -> TrackFigures:
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
    return TrackFigures(
        None if not total else round(2 * true_positives / total, 4),
        None if not ids_per_thing else round(float(np.mean(ids_per_thing)), 3))


def _quantile(values: Sequence[float], share: float) -> float | None:
    return round(float(np.quantile(values, share)), 4) if values else None


def _share(values: Sequence[bool]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None
