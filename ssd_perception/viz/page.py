"""The parts that every page is made of: one file, no script, light and dark.

Text is escaped on its way into a page: what is not ``Markup`` is text. Only a literal of this
package becomes ``Markup``, through ``html``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from ssd_perception.core.text import visible

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


def html(pattern: str, *values: object, **named: object) -> Markup:
    """Return ``pattern.format(...)`` as HTML: values are escaped unless they are ``Markup``.

    Args:
        pattern: HTML written in the source code, never text from outside.
    """
    return Markup(pattern).format(*values, **named)


def join(parts: Iterable[str], between: str = '') -> Markup:
    """Return ``parts`` side by side as HTML, with the HTML ``between`` them."""
    return Markup(between).join(parts)


def document(title: str, parts: Iterable[str]) -> str:
    """Return a whole page of ``parts`` under its ``title``.

    Nothing in it reorders text or cannot be written as UTF-8.
    """
    page = html('<!doctype html><html lang="en"><head><meta charset="utf-8">'
                '<meta name="viewport" content="width=device-width, initial-scale=1">'
                '<title>{0}</title><style>{1}</style></head><body>\n'
                '<h1>{0}</h1>\n{2}</body></html>\n', title, Markup(_STYLE), join(parts, '\n'))
    return visible(page)


def cards(rows: Iterable[tuple[str, str, str]]) -> Markup:
    """Return large figures side by side: name, value and a note each."""
    return html('<div class="cards">{}</div>', join(
        html('<div class="card"><span>{}</span><b>{}</b><span>{}&nbsp;</span></div>', *row)
        for row in rows))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> Markup:
    """Return a table; all columns but the first ``texts`` hold numbers.

    Args:
        head: may be empty.
    """
    def line(tag: str, cells: Sequence[str]) -> Markup:
        return html('<tr>{}</tr>', join(
            html('<{0}{1}>{2}</{0}>', tag, '' if i < texts else ' class=number', cell)
            for i, cell in enumerate(cells)))
    return html('<div class="wide"><table>{}{}</table></div>', line('th', head) if head else '',
                join(line('td', row) for row in rows))


def heading(text: str) -> Markup:
    """Return the heading of a part of the page."""
    return html('<h2>{}</h2>', text)


def note(text: str) -> Markup:
    """Return a paragraph in small print."""
    return html('<p class="note">{}</p>', text)


def warning(title: str, lines: Iterable[str]) -> Markup:
    """Return a paragraph that stands out: a title, which may be empty, and a line for each."""
    shown = [html('<b>{}</b>', title)] if title else []
    return html('<p class="warning">{}</p>', join([*shown, *lines], '<br>'))


def wide(part: str, least_px: int) -> Markup:
    """Return ``part`` at least ``least_px`` wide; a narrow screen scrolls it sideways."""
    return html('<div class="wide"><div style="min-width:{}px">{}</div></div>', least_px, part)


def figure(content: str, caption: str, width_px: int | None = None) -> Markup:
    """Return an image or video with its caption below, if that is not empty."""
    return html('<figure{}>{}{}</figure>',
                '' if width_px is None else html(' style="width:{}px"', width_px), content,
                html('<figcaption>{}</figcaption>', caption) if caption else '')


def swatch(colour: tuple[int, int, int]) -> Markup:
    """Return a small square of an RGB colour."""
    return html('<span class="swatch" style="background:rgb({},{},{})"></span>', *colour)


def image(jpeg: bytes | np.ndarray, alternative: str) -> Markup:
    """Return an ``img`` that holds a JPEG.

    Args:
        jpeg: its bytes, uint8 (n,) where they are an array.
        alternative: for those who cannot see it.
    """
    return html('<img alt="{}" src="data:image/jpeg;base64,{}">', alternative,
                base64.b64encode(bytes(jpeg)).decode())


def video(path: Path) -> Markup:
    """Return a ``video`` that holds a WebM file, or refers to it where it is too large.

    Args:
        path: lies in the folder of the page.
    """
    source = ('data:video/webm;base64,' + base64.b64encode(path.read_bytes()).decode()
              if path.stat().st_size <= MAX_EMBEDDED_BYTES else quote(path.name))
    return html('<video controls loop muted playsinline src="{}"></video>', source)
