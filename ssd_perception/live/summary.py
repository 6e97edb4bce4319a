"""A run's frames become figures, annotated pictures, a video, a contact sheet and a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.live.page import summary_page
from ssd_perception.viz.contact_sheet import contact_sheet, spread
from ssd_perception.viz.drawing import draw_detections
from ssd_perception.viz.video import write_video

SHEET_TILES = 12
JPEG_QUALITY = 88


@dataclass(frozen=True)
class SeenFrame:
    """One frame of a run.

    Attributes:
        stamp_ns: its header's stamp.
        jpeg: the picture, or None when it was not kept.
        detections: the answer, of all scores; None when there was none.
        truth: ground truth, or None.
        age_ms: from the stamp to the arrival of the answer; None without an answer.
    """

    stamp_ns: int
    jpeg: bytes | None
    detections: Detections | None
    truth: GroundTruth | None
    age_ms: float | None


def figures(frames: Sequence[SeenFrame], class_names: Sequence[str], threshold: float) -> dict:
    """Return a run's figures, ready for JSON; None where there is nothing to measure.

    Args:
        threshold: detections with lower scores are not counted.
    """
    answered = [frame for frame in frames if frame.detections is not None]
    shown = [above(found, threshold) for frame in frames
             if (found := frame.detections) is not None]
    ages = np.array([frame.age_ms for frame in answered if frame.age_ms is not None])
    seconds = (frames[-1].stamp_ns - frames[0].stamp_ns) / 1e9 if len(frames) > 1 else 0.0
    counts = sum((np.bincount(d.labels, minlength=len(class_names)) for d in shown),
                 np.zeros(len(class_names), np.int64))
    return {
        'frames': len(frames),
        'answered': len(answered),
        'frames_with_detections': sum(len(d) > 0 for d in shown),
        'detections': int(counts.sum()),
        'detections_per_class': {n: int(c) for n, c in zip(class_names, counts)},
        'display_threshold': threshold,
        'seconds': round(seconds, 3),
        'age_ms': {name: round(float(np.percentile(ages, q)), 2) if len(ages) else None
                   for name, q in (('median', 50), ('p95', 95), ('max', 100))},
    }


def write_summary(folder: Path, frames: Sequence[SeenFrame], class_names: Sequence[str],
                  summary: dict, title: str) -> None:
    """Write everything about a run into an existing ``folder``.

    ``frames/*.jpg``, ``video.webm``, ``contact_sheet.png``, ``summary.html`` and
    ``summary.json``; the pictures only of frames that have one.

    Args:
        summary: what ``figures`` returned, with more added where there is more to say.
    """
    threshold = summary['display_threshold']
    pictured = [frame for frame in frames if frame.jpeg is not None]
    tiles = set(spread(len(pictured), SHEET_TILES))
    (folder / 'frames').mkdir()
    kept: list[np.ndarray] = []

    def annotated() -> Iterator[np.ndarray]:
        size = None
        for index, frame in enumerate(pictured):
            image = _annotate(frame, class_names, threshold)
            _write(folder / 'frames' / f'{index:06d}.jpg', image)
            if index in tiles:
                kept.append(image)
            size = size or (image.shape[1], image.shape[0])
            # A video has one size; a camera that changed its own is scaled to the first.
            yield image if image.shape[1::-1] == size else cv2.resize(image, size)

    if pictured:
        write_video(folder / 'video.webm', annotated(), frame_rate(pictured))
        start = frames[0].stamp_ns
        _write(folder / 'contact_sheet.png', contact_sheet(
            kept, [_caption(pictured[i], start, threshold) for i in sorted(tiles)]))
    (folder / 'summary.html').write_text(
        summary_page(title, folder, frames, class_names, summary), encoding='utf-8')
    (folder / 'summary.json').write_text(json.dumps(summary, indent=2) + '\n', encoding='utf-8')


def above(detections: Detections, threshold: float) -> Detections:
    """Return the detections whose score is at least ``threshold``."""
    return detections[detections.scores >= threshold]


def frame_rate(frames: Sequence[SeenFrame]) -> float:
    """Return frames per second by the median distance of stamps; 10 when it has no meaning."""
    gaps = np.diff([frame.stamp_ns for frame in frames])
    period = float(np.median(gaps)) if len(gaps) else 0.0
    return min(max(1e9 / period, 1.0), 120.0) if period > 0 else 10.0


def _annotate(frame: SeenFrame, class_names: Sequence[str], threshold: float) -> np.ndarray:
    assert frame.jpeg is not None  # the caller chose frames with pictures
    bgr = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8),
                       cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert bgr is not None  # the node has decoded it before
    shown = above(frame.detections, threshold) if frame.detections is not None \
        else Detections.empty()
    return draw_detections(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), shown, class_names, frame.truth)


def _caption(frame: SeenFrame, start_ns: int, threshold: float) -> str:
    when = f'{(frame.stamp_ns - start_ns) / 1e9:.1f} s'
    if frame.detections is None:
        return f'{when}   not answered'
    count = len(above(frame.detections, threshold))
    age = f'   {frame.age_ms:.0f} ms' if frame.age_ms is not None else ''
    return f'{when}   {count} detection{"" if count == 1 else "s"}{age}'


def _write(path: Path, image: np.ndarray) -> None:
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == '.jpg' else []
    if not cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality):
        raise OSError(f'{path} could not be written.')
