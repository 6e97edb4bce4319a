"""The annotation of one rendered image in Pascal VOC layout."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from demo.visible_boxes import Box


def annotation_xml(folder: str, filename: str, width: int, height: int,
                   boxes: Sequence[Box]) -> str:
    """Return the annotation; edges are continuous pixels from 0, not VOC's integers from 1."""
    lines = [f'<annotation><folder>{escape(folder)}</folder><filename>{escape(filename)}'
             f'</filename><size><width>{width}</width><height>{height}</height><depth>3</depth>'
             '</size><segmented>0</segmented>']
    for box in boxes:
        x1, y1, x2, y2 = (f'{v:.1f}' for v in box.xyxy)
        lines.append(
            f'<object><name>{escape(box.label)}</name><pose>Unspecified</pose><truncated>'
            f'{int(box.truncated)}</truncated><difficult>0</difficult><bndbox><xmin>{x1}</xmin>'
            f'<ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>')
    return '\n'.join(lines) + '\n</annotation>\n'
