"""The page of a selection: the chosen frames, and the detections in them."""

from __future__ import annotations

from collections.abc import Sequence

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
)


def selection_page(title: str, summary: SelectionSummary,
                   tiles: Sequence[tuple[bytes, str]]) -> str:
    """Return the page; it needs no other file.

    Args:
        summary: what the figures are.
        tiles: JPEGs of the chosen frames with captions.
    """
    chosen = summary.chosen
    parts = [cards([('frames', str(len(chosen)), f'of {summary.frames}'),
                    ('boxes to correct', str(sum(len(c.boxes) for c in chosen)), '')])]
    if summary.notes:
        parts.append(warning('', summary.notes))
    parts += [heading('Chosen frames'),
              note('Boxes with a coloured label are in the annotations, to be corrected; dashed '
                   'ones with a dark label were too weak and are not.'),
              html('<div class="gallery">{}</div>', join(
                  figure(image(data, caption), caption) for data, caption in tiles)),
              heading('All chosen'), table(
        ['image', 'time', 'boxes'],
        [[c.file, f'{c.seconds:.2f} s', str(len(c.boxes))] for c in chosen])]
    return document(title, parts)
