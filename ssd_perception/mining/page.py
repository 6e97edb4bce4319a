"""The page of a selection: the chosen frames, the reasons, and the detections in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ssd_perception.core.format import format_number
from ssd_perception.mining.selection import SelectionSummary
from ssd_perception.viz.page import (
    cards,
    document,
    figure,
    heading,
    html,
    image,
    join,
    note,
    table,
    warning,
    wide,
)
from ssd_perception.viz.plot_style import BLUE, ORANGE, STYLE, svg

_WIDTH_IN = 11.5


def selection_page(title: str, summary: SelectionSummary,
                   uncertainty: Mapping[str, tuple[np.ndarray, np.ndarray]],
                   tiles: Sequence[tuple[bytes, str]]) -> str:
    """Return the page; it needs no other file.

    Args:
        summary: what the figures are.
        uncertainty: camera -> (seconds, uncertainty) of all its frames.
        tiles: JPEGs of the chosen frames with captions, the most useful first.
    """
    chosen = summary.chosen
    shown = [('frames', str(len(chosen)), f'of {summary.frames}'),
             ('boxes to correct', str(sum(len(c.boxes) for c in chosen)), ''),
             ('chosen by', summary.how, '')]
    parts = [cards(shown)]
    if summary.notes:
        parts.append(warning('', summary.notes))
    for camera, (seconds, values) in uncertainty.items():
        marked = [(c.seconds, c.uncertainty) for c in chosen if c.camera == camera]
        parts += [heading(f'Uncertainty over time{_named(camera, uncertainty)}'),
                  wide(_timeline(seconds, values, marked), 760)]
    parts += [note('The uncertainty of a frame is the sum over its detections from half the '
                   'threshold on: 1 for a score at the threshold, 0 for a score of 0 or 1. '
                   'Dots are the chosen frames.'), heading('Chosen frames'),
              note('Boxes with a coloured label are in the annotations, to be corrected; dashed '
                   'ones with a dark label were too weak and are not.'),
              html('<div class="gallery">{}</div>', join(
                  figure(image(data, caption), caption) for data, caption in tiles)),
              heading('All chosen'), table(
        ['picture', 'time', 'uncertainty', 'novelty', 'boxes'],
        [[c.file, f'{c.seconds:.2f} s', format_number(c.uncertainty, '', 2),
          format_number(c.novelty, '', 2), str(len(c.boxes))] for c in chosen])]
    return document(title, parts)


def _named(camera: str, cameras: Mapping) -> str:
    return f': {camera}' if len(cameras) > 1 else ''


def _timeline(seconds: np.ndarray, values: np.ndarray, marked: Sequence) -> str:
    with rc_context(STYLE):
        figure = Figure((_WIDTH_IN, 2.6), layout='constrained', dpi=150)
        axes = figure.subplots()
        axes.plot(seconds, values, color=BLUE, linewidth=1)
        if marked:
            x, y = zip(*marked)
            axes.scatter(x, y, color=ORANGE, s=26, zorder=3)
        axes.set(xlabel='s', ylabel='uncertainty')
        axes.set_ylim(bottom=0)
        return svg(figure, 'Uncertainty over time, with the chosen frames')
