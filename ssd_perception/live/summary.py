"""Write a run into a folder: figures, annotated images, a video, a contact sheet and a page."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.core.detections import Detections
from ssd_perception.imaging.compressed import ImageError, decode, encode_jpeg
from ssd_perception.live.page import summary_page
from ssd_perception.live.run_result import RunResult, SeenFrame, above
from ssd_perception.viz.contact_sheet import contact_sheet, spread
from ssd_perception.viz.drawing import draw_detections
from ssd_perception.viz.video import write_video

SHEET_TILES = 12


def write_summary(folder: Path, frames: Sequence[SeenFrame], class_names: Sequence[str],
                  result: RunResult, title: str) -> None:
    """Write everything about a run into an existing ``folder``.

    ``frames/*.jpg``, ``video.webm``, ``contact_sheet.png``, ``summary.html`` and
    ``summary.json``; images only of frames that have one.
    """
    threshold = result.display_threshold
    with_image = [frame for frame in frames if frame.jpeg is not None]
    tiles = set(spread(len(with_image), SHEET_TILES))
    (folder / 'frames').mkdir()
    kept: list[tuple[np.ndarray, str]] = []

    def annotated() -> Iterator[np.ndarray]:
        for index, frame in enumerate(with_image):
            image = _annotate(frame, class_names, threshold)
            if image is None:
                continue
            (folder / 'frames' / f'{index:06d}.jpg').write_bytes(encode_jpeg(image).tobytes())
            if index in tiles:
                kept.append((image, _caption(frame, frames[0].stamp_ns, threshold)))
            yield image

    images = annotated()
    first = next(images, None)
    if first is not None:
        write_video(folder / 'video.webm', itertools.chain([first], images),
                    frame_rate(with_image))
    if kept:
        _write_png(folder / 'contact_sheet.png', contact_sheet(
            [image for image, _ in kept], [caption for _, caption in kept]))
    (folder / 'summary.html').write_text(
        summary_page(title, folder, frames, class_names, result), encoding='utf-8')
    (folder / 'summary.json').write_text(json.dumps(result.to_json(), indent=2) + '\n',
                                         encoding='utf-8')


def frame_rate(frames: Sequence[SeenFrame]) -> float:
    """Return frames per second by the median distance of stamps; 10 where stamps say nothing."""
    gaps = np.diff([frame.stamp_ns for frame in frames])
    period = float(np.median(gaps)) if len(gaps) else 0.0
    return min(max(1e9 / period, 1.0), 120.0) if period > 0 else 10.0


def _annotate(frame: SeenFrame, class_names: Sequence[str],
              threshold: float) -> np.ndarray | None:
    """Return the image with its detections; None for one that cannot be decoded."""
    assert frame.jpeg is not None  # the caller chose frames with images
    try:
        rgb = decode(frame.jpeg)
    except ImageError:
        return None
    shown = above(frame.detections, threshold) if frame.detections is not None \
        else Detections.empty()
    return draw_detections(rgb, shown, class_names, frame.truth)


def _caption(frame: SeenFrame, start_ns: int, threshold: float) -> str:
    when = f'{(frame.stamp_ns - start_ns) / 1e9:.1f} s'
    if frame.detections is None:
        return f'{when}   not answered'
    count = len(above(frame.detections, threshold))
    age = f'   {frame.age_ms:.0f} ms' if frame.age_ms is not None else ''
    return f'{when}   {count} detection{"" if count == 1 else "s"}{age}'


def _write_png(path: Path, image: np.ndarray) -> None:
    # OpenCV does not get the path: a name that is no UTF-8 ends the process.
    path.write_bytes(cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())
