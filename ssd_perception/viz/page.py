"""The pieces that every page is made of: one file, no script, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np

JPEG_QUALITY = 88
# Beyond this a page becomes slow to open; the video then stays a file beside it.
MAX_EMBEDDED_BYTES = 12_000_000

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
.number { text-align: right }
.wide { overflow-x: auto }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr));
  gap: 0 2rem }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem }
figure { margin: 0; width: 230px } figcaption { font-size: .85rem; overflow-wrap: anywhere }
.gallery { display: grid; gap: .75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)) }
.gallery figure, .videos figure { width: auto }
.videos { display: flex; flex-wrap: wrap; gap: .75rem }
.warning { border-left: .3rem solid #e67e22; padding: .4rem .8rem; background: #e67e2222 }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: .2em;
  margin-right: .4em }
svg text { fill: currentColor }
@media (max-width: 540px) { .tiles figure { width: calc(50% - .4rem) } }
"""


def document(title: str, parts: Sequence[str]) -> str:
    """Return a whole page of HTML ``parts`` under its ``title``, which is plain text."""
    return ('<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<title>{escape(title)}</title><style>{_STYLE}</style></head><body>'
            + '\n'.join([f'<h1>{escape(title)}</h1>', *parts]) + '</body></html>\n')


def cards(rows: Sequence[tuple[str, str, str]]) -> str:
    """Return large figures side by side: name, value and a note, all HTML."""
    return '<div class="cards">' + ''.join(
        f'<div class="card"><span>{name}</span><b>{value}</b><span>{note}&nbsp;</span></div>'
        for name, value, note in rows) + '</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Return a table of HTML cells; all columns but the first ``texts`` hold numbers.

    Args:
        head: may be empty.
    """
    def line(tag: str, cells: Sequence[str]) -> str:
        return '<tr>' + ''.join(
            f'<{tag}{"" if i < texts else " class=number"}>{cell}</{tag}>'
            for i, cell in enumerate(cells)) + '</tr>'
    return ('<div class="wide"><table>' + (line('th', head) if head else '')
            + ''.join(line('td', row) for row in rows) + '</table></div>')


def wide(part: str, least_px: int) -> str:
    """Return ``part`` no narrower than can be read; a narrow screen pushes it sideways."""
    return f'<div class="wide"><div style="min-width:{least_px}px">{part}</div></div>'


def format_number(value: float | None, unit: str = '', digits: int = 3) -> str:
    """Return a figure as text, a dash for None."""
    return '–' if value is None else f'{value:.{digits}f}{unit}'


def swatch(colour: tuple[int, int, int]) -> str:
    """Return a small square of an RGB colour."""
    return '<span class="swatch" style="background:rgb({},{},{})"></span>'.format(*colour)


def picture(image: np.ndarray, alternative: str) -> str:
    """Return an ``img`` that holds a uint8 (H, W, 3) RGB image as JPEG."""
    jpeg = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
                        [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return f'<img alt="{escape(alternative)}" src="{embedded(jpeg.tobytes(), "image/jpeg")}">'


def embedded(data: bytes, kind: str) -> str:
    """Return ``data`` of MIME type ``kind`` as a data URI."""
    return f'data:{kind};base64,{base64.b64encode(data).decode()}'
