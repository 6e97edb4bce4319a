"""The look of plots, and the way they get into a page: as SVG, light or dark."""

from __future__ import annotations

import colorsys
import io
import re
import warnings
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from ssd_perception.viz.drawing import class_colour

# Axes and text are drawn in this colour, which nothing else has; it is replaced by the page's.
INK = '#010203'
# Middle tones: they show on white and on black.
BLUE, ORANGE, GREEN, GREY = '#3987d6', '#e0752d', '#2f9e62', '#888888'
_LEAST_LUMA = 0.4
STYLE: dict[Any, Any] = {
    'svg.fonttype': 'none',  # text stays text: it can be searched, and takes the page's font
    'svg.hashsalt': 'ssd_perception',  # the same figures give the same file
    'font.family': 'sans-serif', 'font.size': 9, 'axes.titlesize': 10, 'text.color': INK,
    'axes.edgecolor': INK, 'axes.labelcolor': INK, 'xtick.color': INK, 'ytick.color': INK,
    'axes.spines.top': False, 'axes.spines.right': False, 'grid.color': GREY, 'grid.alpha': 0.35,
    'axes.grid': True, 'axes.axisbelow': True, 'legend.frameon': False,
    'text.parse_math': False,  # a class may be named $, and half a formula is an error
}


def line_colour(label: int) -> tuple[float, float, float]:
    """Return the colour of a class: that of its boxes, readable on white and on black pages."""
    red, green, blue = (v / 255 for v in class_colour(label))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    if luma >= _LEAST_LUMA:
        return colorsys.hsv_to_rgb(hue, saturation * 0.85, value * min(1.0, 0.55 / luma))
    white = (_LEAST_LUMA - luma) / (1 - luma)  # the share of white
    return white + (1 - white) * red, white + (1 - white) * green, white + (1 - white) * blue


def svg(figure: Figure, title: str) -> Markup:
    """Return the figure as an SVG element that takes the page's text colour and font."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Text stays text: that matplotlib's own font lacks a letter is nothing to the page.
        warnings.filterwarnings('ignore', 'Glyph .* missing from font')
        # Names of classes may be longer than the figure is wide.
        warnings.filterwarnings('ignore', 'constrained_layout not applied')
        figure.savefig(buffer, format='svg', transparent=True,
                       metadata={'Date': None, 'Creator': None, 'Format': None, 'Type': None})
    text = buffer.getvalue()
    text = text[text.index('<svg'):].strip()
    # Ids repeat in each plot of a page; only those that are referred to are kept.
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in used else '', text)
    text = re.sub(r'(<svg[^>]*?) xmlns:xlink="[^"]*"', r'\1', text).replace('xlink:href', 'href')
    text = re.sub(r'(<svg[^>]*?) xmlns="[^"]*"', r'\1', text)
    label = Markup('<svg role="img" aria-label="{}"').format(title)
    return Markup(text.replace(INK, 'currentColor').replace('<svg', label, 1))
