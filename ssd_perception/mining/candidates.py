"""The frames of one recording that a choice from many recordings is made of, kept in a file."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.safe_path import regular_file
from ssd_perception.core.stored_zip import check_stored
from ssd_perception.replay.work_folder import FrameResult


@dataclass(frozen=True)
class Candidates:
    """Frames that may be chosen, in recorded order.

    Attributes:
        frames, unreadable: images recorded, and those of them that could not be decoded.
        results: n frames.
        cameras: of each, the name of its camera.
        elapsed_ns: of each, the time since the recording's first frame.
        stems: of each, the name of its file.
        notes: one sentence for each thing that is wrong with the recording.
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
