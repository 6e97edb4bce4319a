"""The frames of one or more recordings that may be chosen; a file keeps them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.safe_path import regular_file
from ssd_perception.core.safe_zip import check_stored
from ssd_perception.replay.work_folder import FrameResult


@dataclass(frozen=True)
class Candidates:
    """Frames that may be chosen, in recorded order.

    Attributes:
        frames, unreadable: images recorded, and those of them that could not be decoded.
        results: n frames without detections.
        cameras: of each, the name of its camera.
        elapsed_ns: of each, the time since its recording's first frame.
        stems: of each, the name of its file without ending.
        notes: one sentence for each thing that is wrong with the recordings.
        thumbnails: uint8 (n, d); see ``mining.thumbnails``.
    """

    frames: int
    unreadable: int
    results: tuple[FrameResult, ...]
    cameras: tuple[str, ...]
    elapsed_ns: tuple[int, ...]
    stems: tuple[str, ...]
    notes: tuple[str, ...]
    thumbnails: np.ndarray

    def at(self, places: Sequence[int]) -> Candidates:
        """Return the candidates at ``places``."""
        def chosen(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(values[place] for place in places)
        return replace(self, results=chosen(self.results), cameras=chosen(self.cameras),
                       elapsed_ns=chosen(self.elapsed_ns), stems=chosen(self.stems),
                       thumbnails=self.thumbnails[list(places)])

    def save(self, path: Path, identity: str) -> None:
        """Write a file that is complete or not there.

        Args:
            identity: what the candidates were made from.
        """
        plain = {**vars(self), 'identity': identity,
                 'results': [result.to_json() for result in self.results]}
        del plain['thumbnails']
        data = io.BytesIO()
        np.savez(data, np.array(json.dumps(plain)), self.thumbnails)
        atomic_write(path, data.getvalue())

    @classmethod
    def load(cls, path: Path, identity: str) -> Candidates | None:
        """Return what ``save`` wrote; None where there is none of the same that can be read."""
        try:
            with regular_file(path).open('rb') as file:
                check_stored(file, path.stat().st_size)
                with np.load(file, allow_pickle=False) as arrays:
                    plain = json.loads(str(arrays['arr_0']))
                    thumbnails = arrays['arr_1']
            if plain['identity'] != identity:
                return None
            return cls(plain['frames'], plain['unreadable'],
                       tuple(map(FrameResult.from_json, plain['results'])),
                       tuple(plain['cameras']), tuple(plain['elapsed_ns']),
                       tuple(plain['stems']), tuple(plain['notes']), thumbnails)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError,
                RecursionError, zipfile.BadZipFile):
            return None  # it is made anew
