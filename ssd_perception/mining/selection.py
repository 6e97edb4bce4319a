"""What is told about a selection: figures for a file, tiles and curves for its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.imaging.files import read_picture
from ssd_perception.mining.choose import Choice, frame_uncertainty
from ssd_perception.mining.picture import Picture
from ssd_perception.replay.cameras import Camera
from ssd_perception.replay.chunks import Answer
from ssd_perception.viz.drawing import draw_detections

_TILE_WIDTH, _MOST_TILES = 480, 60


@dataclass(frozen=True)
class Selection:
    """The frames of a recording, and those chosen, the most useful first."""

    answers: Sequence[Answer]
    choices: Sequence[Choice]
    cameras: Sequence[Camera]
    class_names: Sequence[str]
    thresholds: np.ndarray

    def summary(self, pictures: Mapping[str, Picture], stems: Mapping[int, str]) -> dict:
        """Return counts and every chosen frame, ready for JSON; ``stems`` is index -> stem."""
        names = {camera.topic: camera.name for camera in self.cameras}
        chosen = []
        for choice in self.choices:
            answer = self.answers[choice.place]
            picture = pictures[stems[answer.index]]
            chosen.append({
                'file': picture.file, 'index': answer.index, 'camera': names[answer.topic],
                'stamp_ns': answer.stamp_ns, 'seconds': round(self._seconds(answer), 3),
                'uncertainty': round(choice.uncertainty, 4),
                'novelty': None if choice.novelty is None else round(choice.novelty, 4),
                'boxes': [{'class': name, 'score': round(score, 4),
                           'xyxy': [round(value, 2) for value in box]}
                          for name, score, box in zip(picture.names, picture.scores,
                                                      picture.xyxy.tolist())]})
        return {'frames': len(self.answers),
                'unreadable': sum(1 for answer in self.answers if answer.error),
                'chosen': chosen}

    def doubts(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return camera -> (seconds, uncertainty) of all its frames."""
        values = frame_uncertainty(self.answers, self.thresholds)
        found = {}
        for camera in self.cameras:
            mine = [i for i, a in enumerate(self.answers)
                    if a.topic == camera.topic and not a.error]
            found[camera.name] = (np.array([self._seconds(self.answers[i]) for i in mine]),
                                  values[mine])
        return found

    def tiles(self, folder: Path, summary: dict) -> list[tuple[bytes, str]]:
        """Return JPEGs with captions: boxes to correct, and what was too weak to become one."""
        made = []
        for choice, told in list(zip(self.choices, summary['chosen']))[:_MOST_TILES]:
            image = read_picture(folder / told['file'])
            scale = _TILE_WIDTH / image.shape[1]
            size = _TILE_WIDTH, max(1, round(image.shape[0] * scale))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            found = self.answers[choice.place].detections
            limits = self.thresholds[found.labels]
            found = found.scaled(scale)
            weak = (found.scores < limits) & (found.scores >= limits / 2) & (limits <= 1)
            drawn = draw_detections(small, found[found.scores >= limits], self.class_names,
                                    weak=found[weak])
            data = cv2.imencode('.jpg', drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
            camera = f'{told["camera"]}, ' if len(self.cameras) > 1 else ''
            novelty = '' if told['novelty'] is None else f', novelty {told["novelty"]:.2f}'
            made.append((data.tobytes(), f'{camera}{told["seconds"]:.1f} s: uncertainty '
                         f'{told["uncertainty"]:.2f}{novelty}'))
        return made

    def _seconds(self, answer: Answer) -> float:
        start = next(a.stamp_ns for a in self.answers if not a.error)
        return (answer.stamp_ns - start) / 1e9
