"""The same object under the same id from frame to frame: one tracker for each camera.

Association is in two stages, as in ByteTrack (Zhang et al., ECCV 2022): first the boxes that
the published threshold keeps, then weaker ones for the tracks that are left. A robot's camera
turns quickly; the motion of the whole image is therefore measured by optical flow and taken off
first, as in BoT-SORT (Aharon et al., 2022), and without an image estimated from the boxes.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, fields, replace

import numpy as np

from ssd_perception.core.boxes import iou, xyxy_to_cxcywh
from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import SettingError
from ssd_perception.core.frame import Frame
from ssd_perception.core.interface import MAX_GAP_NS
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.scene.camera_motion import CameraMotion, Turn
from ssd_perception.scene.motion import Motion, common_shift, widened

# Boxes are widened by this share of their size on each side before they are compared, so that
# small objects still overlap after a jolt (Yang et al., C-BIoU, WACV 2023).
_WIDEN_STRONG, _WIDEN_WEAK = 0.3, 0.15
# Least overlap of a track with a box above and below the published threshold.
_OVERLAP_STRONG, _OVERLAP_WEAK = 0.1, 0.3
# An object is not this many times as high as it was: a box inside the prediction of a near object
# that left the image is another object.
_LIKE_HEIGHT = 2.5
# A weak box is ignored where a better box of another class overlaps it by more than this.
_OTHER_CLASS = 0.5
# A weak box is published while the evidence of its track is not negative: the sum of how far its
# scores lie above the threshold, as log odds. Each frame counts this part of the next one, and the
# threshold is taken lower by this margin. Both were chosen on rendered drives.
_EVIDENCE_KEPT, _EVIDENCE_MARGIN = 0.5, 0.4
# A track that is not confirmed yet survives this many frames without a box.
_UNCONFIRMED_MISSES = 1
# Assumed interval where a camera sets no stamps, seconds.
_UNKNOWN_INTERVAL_S = 0.1
_INTERVALS = 9
# So many boxes from the low score on reach the trackers.
MAX_BOXES = 100


@dataclass(frozen=True)
class TrackSettings:
    """When a track begins and ends.

    Attributes:
        confirm: frames that an object must be found in before it is published, at least 1.
        misses: frames in a row that a published track survives without a box, at least 0. An
            image that never arrived counts as one.
        low_score: boxes from this score on keep a track alive, in [0, 1].

    Raises:
        SettingError: for a value out of range.
    """

    confirm: int = 1
    misses: int = 20
    low_score: float = 0.2

    def __post_init__(self) -> None:
        if self.confirm < 1:
            raise SettingError(f'track confirmations must be at least 1, got {self.confirm}.')
        if self.misses < 0:
            raise SettingError(f'track misses must be at least 0, got {self.misses}.')
        if not 0.0 <= self.low_score <= 1.0:
            raise SettingError(f'the low score of tracks must be within 0 and 1, got '
                             f'{self.low_score}.')


class TrackStage:
    """A stage that gives ids to detections, each camera with a tracker of its own.

    It needs the detections from ``settings.low_score`` on and publishes those of confirmed
    tracks: a box between the two thresholds only where it continues a track whose last scores
    are as good as the published threshold on the whole.

    Args:
        settings: of all trackers.
    """

    def __init__(self, settings: TrackSettings):
        self._settings, self._most = settings, MAX_BOXES
        self._thresholds = np.zeros(0)
        self._trackers: dict[str, Tracker] = {}
        self._motions: dict[str, CameraMotion] = {}

    def prepare(self, settings: PostprocessSettings,
                class_names: tuple[str, ...]) -> PostprocessSettings:
        """Take the thresholds that are published; return the lower ones to detect with."""
        low = self._settings.low_score
        self._thresholds, self._most = settings.per_class(class_names), settings.max_detections
        return replace(
            settings, score_threshold=min(low, settings.score_threshold),
            class_thresholds=tuple((name, min(low, t)) for name, t in settings.class_thresholds),
            max_detections=max(MAX_BOXES, settings.max_detections))

    def __call__(self, frame: Frame, detections: Detections) -> Detections:
        """Return the detections of confirmed tracks, with ids."""
        tracker = self._trackers.get(frame.camera)
        if tracker is None:
            tracker = self._trackers[frame.camera] = Tracker(self._settings)
            self._motions[frame.camera] = CameraMotion()
        turn = self._motions[frame.camera].turn(frame.image, frame.scale)
        return tracker.update(frame.stamp_ns, detections, self._thresholds, turn)[:self._most]

    def reset(self) -> None:
        """End all tracks, as after a jump of the clock; no id is used again."""
        for tracker in self._trackers.values():
            tracker.forget()
        for motion in self._motions.values():
            motion.forget()


@dataclass
class _Tracks:
    """Tracks as rows of arrays.

    Attributes:
        motion: boxes and how they move.
        labels: int64 (n,).
        hits: int64 (n,), frames with a box.
        missed: int64 (n,), frames without one since the last.
        ids: int64 (n,), 0 until confirmed.
        evidence: float64 (n,), decaying sum of how far scores lie above the threshold, log odds.
    """

    motion: Motion
    labels: np.ndarray
    hits: np.ndarray
    missed: np.ndarray
    ids: np.ndarray
    evidence: np.ndarray

    @classmethod
    def begin(cls, boxes: np.ndarray, labels: np.ndarray, evidence: np.ndarray) -> _Tracks:
        n = len(boxes)
        zeros = np.zeros(n, np.int64)
        return cls(Motion.begin(boxes), labels.astype(np.int64), zeros, zeros.copy(),
                   zeros.copy(), evidence.copy())

    def __len__(self) -> int:
        return len(self.labels)

    def keep(self, rows: np.ndarray) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[rows])

    def add(self, other: _Tracks) -> None:
        self.motion = self.motion.joined(other.motion)
        for name in ('labels', 'hits', 'missed', 'ids', 'evidence'):
            setattr(self, name, np.concatenate([getattr(self, name), getattr(other, name)]))


class Tracker:
    """Tracks of one camera.

    Args:
        settings: when tracks begin and end.
    """

    def __init__(self, settings: TrackSettings):
        self._settings = settings
        self._next_id = 1
        self.forget()

    def forget(self) -> None:
        """End all tracks; ids go on from where they were."""
        self._tracks = _Tracks.begin(np.zeros((0, 4)), np.zeros(0), np.zeros(0))
        self._stamp_ns = 0
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

    def update(self, stamp_ns: int, detections: Detections, thresholds: np.ndarray,
               turn: Turn | None = None) -> Detections:
        """Take one frame's detections and return those of confirmed tracks, with ids.

        Args:
            stamp_ns: of the image. An earlier one than before, or one so late that no track
                survives the time between, begins anew; 0 means that it is not known.
            detections: from the low score on; weaker ones are ignored.
            thresholds: float (C,), the published threshold of each class.
            turn: of the camera since the last frame; None estimates it from the boxes.
        """
        seconds, frames = self._passed(stamp_ns)
        tracks, limits = self._tracks, thresholds[detections.labels]
        strong = detections.scores >= limits
        usable = strong | ((detections.scores >= self._settings.low_score) & (limits <= 1)
                           & ~_outdone(detections))
        odds = _log_odds(detections.scores) - _log_odds(limits) + _EVIDENCE_MARGIN
        boxes = xyxy_to_cxcywh(detections.xyxy.astype(np.float64))
        tracks.motion.predict(seconds)
        tracks.motion.slow_down(tracks.missed > 0)
        if turn is not None:
            tracks.motion.boxes[:, :2] = turn.move(tracks.motion.boxes[:, :2])
        tracks.motion.move(common_shift(
            tracks.motion.boxes, tracks.labels, tracks.ids > 0, boxes[usable],
            detections.labels[usable], detections.scores[usable]))
        matched = self._associate(boxes, detections.labels, strong, usable & ~strong)
        self._settle(matched, boxes, odds, frames)
        rows, found = self._published(matched, strong)
        fresh = strong.copy()
        fresh[matched[matched >= 0]] = False
        self._end()
        begun = self._begin(boxes[fresh], detections.labels[fresh], odds[fresh])
        return self._result(detections, found, rows, np.flatnonzero(fresh), begun)

    def _passed(self, stamp_ns: int) -> tuple[float, int]:
        """Return the seconds and the frames, lost ones included, since the last update."""
        before, self._stamp_ns = self._stamp_ns, stamp_ns
        if not before or not stamp_ns:
            return _UNKNOWN_INTERVAL_S, 1
        seconds = (stamp_ns - before) / 1e9
        usual = statistics.median(self._intervals) if self._intervals else max(seconds, 0.0)
        frames = max(1, round(seconds / (usual or _UNKNOWN_INTERVAL_S)))
        if not 0 <= seconds <= MAX_GAP_NS / 1e9 or frames > self._settings.misses + 1:
            self.forget()
            self._stamp_ns = stamp_ns
            return _UNKNOWN_INTERVAL_S, 1
        self._intervals.append(seconds)
        return seconds, frames

    def _associate(self, boxes: np.ndarray, labels: np.ndarray, strong: np.ndarray,
                   weak: np.ndarray) -> np.ndarray:
        """Return for each track the index of its box, or -1: int64 (n,)."""
        matched = np.full(len(self._tracks), -1)
        for usable, widen, least in ((strong, _WIDEN_STRONG, _OVERLAP_STRONG),
                                     (weak, _WIDEN_WEAK, _OVERLAP_WEAK)):
            rows, columns = np.flatnonzero(matched < 0), np.flatnonzero(usable)
            if not len(rows) or not len(columns):
                continue
            overlap = iou(widened(self._tracks.motion.boxes[rows], widen),
                          widened(boxes[columns], widen))
            ratio = boxes[columns, 3] / self._tracks.motion.boxes[rows, 3][:, None]
            overlap[(self._tracks.labels[rows][:, None] != labels[columns])
                    | (ratio > _LIKE_HEIGHT) | (ratio < 1 / _LIKE_HEIGHT)] = 0.0
            for row, column in _best_pairs(overlap, least):
                matched[rows[row]] = columns[column]
        return matched

    def _settle(self, matched: np.ndarray, boxes: np.ndarray, odds: np.ndarray,
                frames: int) -> None:
        tracks, rows = self._tracks, np.flatnonzero(matched >= 0)
        tracks.evidence *= _EVIDENCE_KEPT
        tracks.evidence[rows] += odds[matched[rows]]
        tracks.motion.correct(rows, boxes[matched[rows]])
        tracks.missed += frames
        tracks.missed[rows] = 0
        tracks.hits[rows] += 1

    def _published(self, matched: np.ndarray,
                   strong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Confirm what is due; return the published rows and their boxes' indices."""
        tracks = self._tracks
        self._give_ids(np.flatnonzero((tracks.hits >= self._settings.confirm)
                                      & (tracks.ids == 0)))
        rows = np.flatnonzero((matched >= 0) & (tracks.ids > 0))
        rows = rows[strong[matched[rows]] | (tracks.evidence[rows] >= 0)]
        return tracks.ids[rows], matched[rows]

    def _give_ids(self, rows: np.ndarray) -> None:
        self._tracks.ids[rows] = np.arange(self._next_id, self._next_id + len(rows))
        self._next_id += len(rows)

    def _end(self) -> None:
        tracks = self._tracks
        allowed = np.where(tracks.ids > 0, self._settings.misses,
                           min(_UNCONFIRMED_MISSES, self._settings.misses))
        tracks.keep(tracks.missed <= allowed)

    def _begin(self, boxes: np.ndarray, labels: np.ndarray, odds: np.ndarray) -> np.ndarray:
        """Begin a track at each box; return the ids, 0 for those not confirmed: int64 (n,)."""
        begun = _Tracks.begin(boxes, labels, odds)
        begun.hits += 1
        first = len(self._tracks)
        self._tracks.add(begun)
        if self._settings.confirm == 1:
            self._give_ids(np.arange(first, len(self._tracks)))
        return self._tracks.ids[first:]

    @staticmethod
    def _result(detections: Detections, found: np.ndarray, ids: np.ndarray, fresh: np.ndarray,
                begun: np.ndarray) -> Detections:
        every = np.zeros(len(detections), np.int64)
        every[found], every[fresh] = ids, begun
        shown = every > 0
        return Detections(detections.xyxy[shown], detections.scores[shown],
                          detections.labels[shown], every[shown])


def _outdone(detections: Detections) -> np.ndarray:
    """Return which boxes lie on a better box of another class: bool (n,)."""
    boxes, labels = detections.xyxy.astype(np.float64), detections.labels
    better = detections.scores > detections.scores[:, None]
    return ((iou(boxes, boxes) > _OTHER_CLASS) & better & (labels != labels[:, None])).any(1)


def _log_odds(scores: np.ndarray) -> np.ndarray:
    clipped = np.clip(scores.astype(np.float64), 0.001, 0.999)
    return np.log(clipped / (1 - clipped))


def _best_pairs(overlap: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Return (row, column) pairs from the best overlap down to ``least``, each used once.

    On rendered drives the optimal assignment gives the same tracks; it would need scipy.
    """
    pairs: list[tuple[int, int]] = []
    rows, columns = np.nonzero(overlap > least)
    free_rows, free_columns = set(rows.tolist()), set(columns.tolist())
    for k in np.argsort(-overlap[rows, columns], kind='stable'):
        row, column = int(rows[k]), int(columns[k])
        if row in free_rows and column in free_columns:
            pairs.append((row, column))
            free_rows.remove(row)
            free_columns.remove(column)
            if not free_rows or not free_columns:
                break
    return pairs
