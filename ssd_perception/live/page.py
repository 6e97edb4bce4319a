"""One self-contained HTML page about a run: figures, timelines, video and contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from ssd_perception.core.format import format_number
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.imaging.files import read_image
from ssd_perception.live.run_result import RunResult, SeenFrame
from ssd_perception.viz.drawing import class_colour
from ssd_perception.viz.page import (
    cards,
    document,
    heading,
    image,
    note,
    swatch,
    table,
    video,
    wide,
)
from ssd_perception.viz.timeline import over_time


def summary_page(title: str, folder: Path, frames: Sequence[SeenFrame],
                 class_names: Sequence[str], result: RunResult) -> str:
    """Return the page; video.webm and contact_sheet.png are taken from ``folder`` if there.

    Args:
        frames: in the order of their stamps.
    """
    parts = [_cards(result), _video(folder), _sheet(folder)]
    if len(frames) > 1:
        start = frames[0].stamp_ns
        seconds = [(frame.stamp_ns - start) / 1e9 for frame in frames]
        threshold = result.display_threshold
        counts = {name: [_count(frame, label, threshold) for frame in frames]
                  for label, name in enumerate(class_names)}
        plots = (('Detections in each frame', counts, 'detections'),
                 ('Age of a detection when it arrives', {'age': [f.age_ms for f in frames]}, 'ms'))
        for what, lines, unit in plots:
            parts += [heading(what), wide(over_time(seconds, lines, unit, what), 640)]
    parts += [heading('Classes'), _classes(class_names, result)]
    parts.append(note(f'Detections with a score of at least {result.display_threshold:g} are '
                      'drawn and counted; average precision is measured over all that were '
                      'published. Dashed white boxes are ground truth. Age is the time of arrival '
                      'minus the stamp in the header.'))
    return document(title, parts)


def _cards(result: RunResult) -> Markup:
    rows = [('frames answered', f'{result.answered} of {result.frames}', ''),
            ('detections', str(result.detections), f'in {result.frames_with_detections} frames'),
            ('median age', format_number(result.age_ms.median, ' ms', 0),
             f'95 %: {format_number(result.age_ms.p95, " ms", 0)}')]
    if result.ap50 is not None:
        reference = result.reference_ap50
        rows.append(('AP50', format_number(result.ap50), '' if reference is None
                     else f'model card: {reference:.3f}'))
    return cards(rows)


def _video(folder: Path) -> str:
    path = folder / 'video.webm'
    return video(path) if path.is_file() else ''


def _sheet(folder: Path) -> str:
    path = folder / 'contact_sheet.png'
    if not path.is_file():
        return ''
    # The page carries a JPEG of it: a fifth of the size.
    return heading('Frames') + image(encode_jpeg(read_image(path)),
                                     'Annotated frames, spread over the run')


def _count(frame: SeenFrame, label: int, threshold: float) -> int | None:
    if frame.detections is None:
        return None
    found = frame.detections
    return int(((found.labels == label) & (found.scores >= threshold)).sum())


def _classes(class_names: Sequence[str], result: RunResult) -> Markup:
    per_class = result.ap50_per_class or {}
    rows = [[swatch(class_colour(label)) + name,
             str(result.detections_per_class.get(name, 0)),
             *([format_number(per_class.get(name))] if per_class else [])]
            for label, name in enumerate(class_names)]
    return table(['class', 'detections', *(['AP50'] if per_class else [])], rows)
