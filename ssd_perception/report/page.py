"""One self-contained HTML page about a run: figures, timelines, video and contact sheet."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.inference.drawing import class_colour

# Beyond this a page becomes slow to open; the video then stays a file beside it.
MAX_EMBEDDED_BYTES = 12_000_000
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 900, 150, 60, 22

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
.cards { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0 }
.card { border: 1px solid var(--line); border-radius: .6rem; padding: .6rem .9rem;
  min-width: 8rem }
.card b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums }
.card span, .note { opacity: .7; font-size: .85rem }
img, video, svg { max-width: 100%; height: auto; border-radius: .4rem; display: block }
video { width: 640px }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
td, th { padding: .25rem .9rem .25rem 0; text-align: left; border-bottom: 1px solid var(--soft) }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: .2em;
  margin-right: .4em }
svg text { font-size: 11px; fill: currentColor; opacity: .7 }
"""


def summary_page(title: str, folder: Path, frames: Sequence, class_names: Sequence[str],
                 summary: dict) -> str:
    """Return the page; video.webm and contact_sheet.png are taken from ``folder`` if there.

    Args:
        frames: ``report.summary.SeenFrame`` in the order of their stamps.
        summary: figures, see ``report.summary.figures``; ``ap50`` and ``reference_ap50`` are
            shown where present.
    """
    parts = [f'<h1>{escape(title)}</h1>', _cards(summary), _video(folder), _sheet(folder)]
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
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<title>{escape(title)}</title><style>{_STYLE}</style></head><body>'
            + '\n'.join(parts) + '</body></html>\n')


def _cards(summary: dict) -> str:
    age = summary['age_ms']
    cards = [('frames answered', f'{summary["answered"]} of {summary["frames"]}', ''),
             ('detections', str(summary['detections']),
              f'in {summary["frames_with_detections"]} frames'),
             ('median age', _told(age['median'], ' ms', 0),
              f'95 %: {_told(age["p95"], " ms", 0)}')]
    if 'ap50' in summary:
        reference = summary.get('reference_ap50')
        cards.append(('AP50', _told(summary['ap50'], '', 3), '' if reference is None
                      else f'model card: {reference:.3f}'))
    return '<div class="cards">' + ''.join(
        f'<div class="card"><span>{name}</span><b>{value}</b><span>{note}&nbsp;</span></div>'
        for name, value, note in cards) + '</div>'


def _told(value: float | None, unit: str, digits: int) -> str:
    return '–' if value is None else f'{value:.{digits}f}{unit}'


def _video(folder: Path) -> str:
    path = folder / 'video.webm'
    if not path.is_file():
        return ''
    source = (_embedded(path.read_bytes(), 'video/webm')
              if path.stat().st_size <= MAX_EMBEDDED_BYTES else path.name)
    return f'<video controls loop muted playsinline src="{source}"></video>'


def _sheet(folder: Path) -> str:
    path = folder / 'contact_sheet.png'
    if not path.is_file():
        return ''
    # The page carries a JPEG of it: a fifth of the size.
    jpeg = cv2.imencode('.jpg', cv2.imread(str(path)), [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return ('<h2>Frames</h2><img alt="Annotated frames, spread over the run" src="'
            f'{_embedded(jpeg.tobytes(), "image/jpeg")}">')


def _embedded(data: bytes, kind: str) -> str:
    return f'data:{kind};base64,{base64.b64encode(data).decode()}'


def _count(frame, label: int, threshold: float) -> int | None:
    if frame.detections is None:
        return None
    found = frame.detections
    return int(((found.labels == label) & (found.scores >= threshold)).sum())


def _classes(class_names: Sequence[str], summary: dict) -> str:
    per_class = summary.get('ap50_per_class', {})
    head = '<tr><th>class</th><th>detections</th>' + ('<th>AP50</th>' if per_class else '')
    rows = []
    for label, name in enumerate(class_names):
        colour = 'rgb({},{},{})'.format(*class_colour(label))
        row = (f'<tr><td><span class="swatch" style="background:{colour}"></span>{escape(name)}'
               f'</td><td>{summary["detections_per_class"].get(name, 0)}</td>')
        rows.append(row + (f'<td>{_told(per_class.get(name), "", 3)}</td>' if per_class else ''))
    return f'<table>{head}</tr>{"</tr>".join(rows)}</tr></table>'


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
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>'
