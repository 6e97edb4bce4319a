"""The figures of many replays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_S_PER_HOUR = 3600


@dataclass(frozen=True)
class RecordingFigures:
    """One recording; fields and units are those of ``replay.summary.ReplaySummary``."""

    name: str
    frames: int
    unreadable: int
    frames_with_detections: int
    detections: int
    detections_per_class: Mapping[str, int]
    objects_per_class: Mapping[str, int]
    seconds: float
    uncertainty: float
    losses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FleetSummary:
    """All recordings.

    Attributes:
        recordings: those that were replayed, sorted by path.
        failures: name of a recording -> why it could not be, in one sentence.
    """

    recordings: tuple[RecordingFigures, ...]
    failures: Mapping[str, str]

    @property
    def hours(self) -> float:
        """Hours recorded, of what could be read."""
        return sum(one.seconds for one in self.recordings) / _S_PER_HOUR

    @property
    def frames(self) -> int:
        """Images recorded."""
        return sum(one.frames for one in self.recordings)

    @property
    def unreadable(self) -> int:
        """Of the frames, those that could not be decoded."""
        return sum(one.unreadable for one in self.recordings)

    @property
    def cut_short(self) -> tuple[RecordingFigures, ...]:
        """The recordings that could be read in part only."""
        return tuple(one for one in self.recordings if one.losses)

    def detections_per_class(self) -> dict[str, int]:
        """Return class -> boxes published, also of classes without any, in the network's order."""
        return self._sums(one.detections_per_class for one in self.recordings)

    def objects_per_class(self) -> dict[str, int]:
        """Return class -> tracks published; empty without tracking."""
        return self._sums(one.objects_per_class for one in self.recordings)

    @staticmethod
    def _sums(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
        total: Counter[str] = Counter()
        for count in counts:
            total.update(count)  # a sum of Counters would leave out what is 0
        return dict(total)

    def by_uncertainty(self) -> list[RecordingFigures]:
        """Return the recordings, those of which the detector was least sure first."""
        return sorted(self.recordings, key=lambda one: (-one.uncertainty, one.name))
