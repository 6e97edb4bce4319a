"""The work folder of a run over a recording: finished pieces, so that it can be resumed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ssd_perception.bags.frames import to_rgb
from ssd_perception.bags.reader import BagError, Record
from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import UserError
from ssd_perception.core.interface import stamp_to_ns

# Frames in a piece: an interrupted run loses what it did on one of them.
CHUNK_FRAMES = 100
_IDENTITY, _FRAMES, _EXTRAS, _TIMES = 'identity.json', 'frames.jsonl', 'extras.bin', 'ms.jsonl'
_LENGTH = struct.Struct('<I')


class WorkFolderError(UserError, ValueError):
    """An interrupted run that this one cannot continue; one sentence."""


@dataclass(frozen=True)
class Answer:
    """What became of one frame.

    Attributes:
        index: its place among the images of the recording.
        topic: where it was recorded.
        recorded_ns, stamp_ns: times of recording and of the header.
        frame_id: the header's.
        width, height: pixels; 0 when the picture could not be decoded.
        detections: with all scores from the low threshold on.
        error: why the picture could not be decoded; empty when it could.
    """

    index: int
    topic: str
    recorded_ns: int
    stamp_ns: int
    frame_id: str
    width: int
    height: int
    detections: Detections
    error: str = ''

    def with_detections(self, detections: Detections) -> Answer:
        """Return the same with what was found."""
        return replace(self, detections=detections)

    def to_json(self) -> str:
        """Return one line; numbers come back exactly."""
        found = self.detections
        values = {name: value for name, value in vars(self).items() if name != 'detections'}
        return json.dumps({**values, 'xyxy': found.xyxy.tolist(), 'scores': found.scores.tolist(),
                           'labels': found.labels.tolist()})

    @classmethod
    def from_json(cls, line: str) -> Answer:
        """Return what ``to_json`` wrote."""
        values = json.loads(line)
        found = Detections(np.array(values.pop('xyxy')).reshape(-1, 4), values.pop('scores'),
                           values.pop('labels'))
        return cls(detections=found, **values)


@dataclass(frozen=True)
class Identity:
    """What makes two runs the same: only then may one continue the other.

    Attributes:
        files: (name, bytes, time of change in ns) of the recording.
        weights: SHA-256 of the weights.
        settings: everything else that the results depend on.
    """

    files: tuple
    weights: str
    settings: dict

    def to_json(self) -> str:
        """Return a text that is equal for equal identities."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)


def recorded_files(path: Path) -> tuple:
    """Return name, size and time of change of every file of a recording."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return tuple((f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file())


class WorkFolder:
    """Pieces of a run, beside the result; a context manager that keeps a second run out.

    Args:
        out: the result's folder.
        fresh: begin anew, whatever is there.
        verb: whose run it is.

    Raises:
        WorkFolderError: when another run works there, or an interrupted one had another identity.
    """

    def __init__(self, out: Path, identity: Identity, fresh: bool = False, verb: str = 'replay'):
        self.path = out.with_name(f'.{out.name}.{verb}')
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = open(self.path / 'lock', 'w')
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise WorkFolderError(f'Another {verb} is writing {out} now; wait for it, or '
                                  'choose another --out.') from error
        file = self.path / _IDENTITY
        if fresh:
            self._empty()
        if file.is_file() and file.read_text() != identity.to_json():
            self._lock.close()
            raise WorkFolderError(
                f'An interrupted {verb} into {out} had another recording, other weights or other '
                'settings; repeat its command to finish it, or give --fresh to discard it.')
        for partial in self.path.glob('*.partial'):
            shutil.rmtree(partial)
        file.write_text(identity.to_json())

    @property
    def done(self) -> list[Path]:
        """The finished pieces in order, without a gap."""
        pieces: list[Path] = []
        while (piece := self.path / f'{len(pieces):06d}').is_dir():
            pieces.append(piece)
        return pieces

    def frames(self) -> Iterator[Answer]:
        """Yield every frame's answer."""
        for piece in self.done:
            with open(piece / _FRAMES) as lines:
                yield from map(Answer.from_json, lines)

    def extras(self) -> Iterator[bytes]:
        """Yield what was kept beside every frame's answer; empty where there is none."""
        for piece in self.done:
            with open(piece / _EXTRAS, 'rb') as file:
                while head := file.read(_LENGTH.size):
                    yield file.read(_LENGTH.unpack(head)[0])

    def times(self) -> Iterator[dict]:
        """Yield every frame's milliseconds by stage."""
        for piece in self.done:
            with open(piece / _TIMES) as lines:
                yield from map(json.loads, lines)

    def remove(self) -> None:
        """Remove the folder: the result is complete."""
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> WorkFolder:
        return self

    def __exit__(self, *_) -> None:
        self._lock.close()

    def _empty(self) -> None:
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != 'lock':
                entry.unlink()


class PieceWriter:
    """Writes one piece, which is there once ``finish`` was called."""

    def __init__(self, folder: WorkFolder, number: int):
        self._final = folder.path / f'{number:06d}'
        self.path = self._final.with_suffix('.partial')
        self.path.mkdir()
        self._lines = open(self.path / _FRAMES, 'w')
        self._extras = open(self.path / _EXTRAS, 'wb')
        self._times = open(self.path / _TIMES, 'w')

    def add(self, answer: Answer, extra: bytes, times_ms: dict[str, float]) -> None:
        """Append a frame and what goes with it, such as its annotated JPEG; may be empty."""
        self._lines.write(answer.to_json() + '\n')
        self._extras.write(_LENGTH.pack(len(extra)) + extra)
        self._times.write(json.dumps({k: round(v, 3) for k, v in times_ms.items()}) + '\n')

    def finish(self) -> None:
        """Give the piece its name."""
        self.close()
        os.rename(self.path, self._final)

    def close(self) -> None:
        """Close the files; what was not finished is discarded by the next run."""
        for file in (self._lines, self._extras, self._times):
            file.close()


def decoded(index: int, record: Record) -> tuple[Answer, np.ndarray | None]:
    """Return a frame without detections, and its picture: uint8 (H, W, 3) RGB.

    A picture that cannot be decoded is None, and the answer's ``error`` says why.
    """
    answer = Answer(index, record.topic, record.stamp_ns, 0, '', 0, 0, Detections.empty())
    try:
        message = record.message
        answer = replace(answer, stamp_ns=stamp_to_ns(message.header.stamp),
                         frame_id=message.header.frame_id)
        image = to_rgb(message)
    except BagError as error:
        return replace(answer, error=str(error)), None
    return replace(answer, height=image.shape[0], width=image.shape[1]), image
