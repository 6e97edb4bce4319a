"""One self-contained HTML page about a run: figures, timelines, video and contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.inference.drawing import class_colour
from ssd_perception.report.html import cards, document, embedded, picture, swatch, table, told

# Beyond this a page becomes slow to open; the video then stays a file beside it.
MAX_EMBEDDED_BYTES = 12_000_000
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 900, 150, 60, 22


def summary_page(title: str, folder: Path, frames: Sequence, class_names: Sequence[str],
                 summary: dict) -> str:
    """Return the page; video.webm and contact_sheet.png are taken from ``folder`` if there.

    Args:
        frames: ``report.summary.SeenFrame`` in the order of their stamps.
        summary: figures, see ``report.summary.figures``; ``ap50`` and ``reference_ap50`` are
            shown where present.
    """
    parts = [_cards(summary), _video(folder), _sheet(folder)]
    if len(frames) > 1:
        start = frames[0].stamp_ns
        seconds = [(frame.stamp_ns - start) / 1e9 for frame in frames]
        threshold = summary['display_threshold']
        counts = {name: [_count(frame, label, threshold) for frame in frames]
                  for label, name in enumerate(class_names)}
        parts += ['<h2>Detections in each frame</h2>',
                  _chart(seconds, {name: (class_colour(label), counts[name])
                                   for label, name in enumerate(class_names)}, ''),
                  '<h2>Age of a detection when it arrives</h2>',
                  _chart(seconds, {'age': ((70, 130, 200), [f.age_ms for f in frames])}, ' ms')]
    parts += ['<h2>Classes</h2>', _classes(class_names, summary)]
    parts.append(f'<p class="note">Detections with a score of at least '
                 f'{summary["display_threshold"]:g} are drawn and counted; average precision is '
                 'measured over all that were published. Dashed white boxes are ground truth. '
                 'Age is the time of arrival minus the stamp in the header.</p>')
    return document(title, parts)


def _cards(summary: dict) -> str:
    age = summary['age_ms']
    rows = [('frames answered', f'{summary["answered"]} of {summary["frames"]}', ''),
            ('detections', str(summary['detections']),
             f'in {summary["frames_with_detections"]} frames'),
            ('median age', told(age['median'], ' ms', 0),
             f'95 %: {told(age["p95"], " ms", 0)}')]
    if 'ap50' in summary:
        reference = summary.get('reference_ap50')
        rows.append(('AP50', told(summary['ap50']), '' if reference is None
                     else f'model card: {reference:.3f}'))
    return cards(rows)


def _video(folder: Path) -> str:
    path = folder / 'video.webm'
    if not path.is_file():
        return ''
    source = (embedded(path.read_bytes(), 'video/webm')
              if path.stat().st_size <= MAX_EMBEDDED_BYTES else path.name)
    return f'<video controls loop muted playsinline src="{source}"></video>'


def _sheet(folder: Path) -> str:
    path = folder / 'contact_sheet.png'
    if not path.is_file():
        return ''
    # The page carries a JPEG of it: a fifth of the size.
    bgr = cv2.imread(str(path))
    assert bgr is not None  # written a moment ago
    sheet = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    return '<h2>Frames</h2>' + picture(sheet, 'Annotated frames, spread over the run')


def _count(frame, label: int, threshold: float) -> int | None:
    if frame.detections is None:
        return None
    found = frame.detections
    return int(((found.labels == label) & (found.scores >= threshold)).sum())


def _classes(class_names: Sequence[str], summary: dict) -> str:
    per_class = summary.get('ap50_per_class', {})
    rows = [[swatch(class_colour(label)) + escape(name),
             str(summary['detections_per_class'].get(name, 0)),
             *([told(per_class.get(name))] if per_class else [])]
            for label, name in enumerate(class_names)]
    return table(['class', 'detections', *(['AP50'] if per_class else [])], rows)


def _chart(seconds: Sequence[float], lines: dict[str, tuple], unit: str) -> str:
    """Return an SVG of lines over time; a gap where a frame has no value."""
    values = [v for _, series in lines.values() for v in series if v is not None]
    top = max([*values, 1e-9])
    top = float(np.ceil(top)) if top > 1 else 1.0
    span = max(seconds[-1], 1e-9)
    width, height = _WIDTH - _LEFT - 8, _HEIGHT - _BOTTOM - 8

    def place(second: float, value: float) -> str:
        return f'{_LEFT + second / span * width:.1f},{8 + (1 - value / top) * height:.1f}'

    parts = [f'<line x1="{_LEFT}" x2="{_WIDTH - 8}" y1="{y}" y2="{y}" stroke="currentColor" '
             f'opacity=".2"/><text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{text}</text>'
             for y, text in ((8, f'{top:g}{unit}'), (8 + height, f'0{unit}'))]
    parts += [f'<text x="{_LEFT + share * width:.0f}" y="{_HEIGHT - 5}" '
              f'text-anchor="{"end" if share == 1 else "middle"}">{share * span:.1f} s</text>'
              for share in (0, 0.25, 0.5, 0.75, 1)]
    for colour, series in lines.values():
        run: list[str] = []
        for second, value in [*zip(seconds, series), (0.0, None)]:
            if value is not None:
                run.append(place(second, value))
            elif len(run) == 1:  # a line of one point would hardly be seen
                x, y = run[0].split(',')
                parts.append(f'<circle cx="{x}" cy="{y}" r="2.5" fill="rgb{colour}"/>')
                run = []
            elif run:
                parts.append(f'<polyline fill="none" stroke="rgb{colour}" stroke-width="2" '
                             f'stroke-linecap="round" points="{" ".join(run)}"/>')
                run = []
    return f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>'
