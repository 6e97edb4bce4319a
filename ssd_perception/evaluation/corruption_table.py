"""What corruptions do to accuracy, and what they look like, as parts of the evaluation's page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from ssd_perception.evaluation.corruptions import CORRUPTIONS, corrupt
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.imaging.files import read_picture
from ssd_perception.viz.contact_sheet import contact_sheet
from ssd_perception.viz.page import format_number, heading, image, note, table

TILE_WIDTH = 260  # px


def corruption_table(rows: Sequence[dict], whole: dict, sheet: str) -> list[str]:
    """Return the parts of the page; none where nothing was measured.

    Args:
        rows: of ``evaluation.corruptions.under_corruptions``.
        whole: figures of the pictures as they are.
        sheet: HTML of ``corruption_sheet``.
    """
    if not rows:
        return []
    cells = [['none', '', format_number(whole['voc10_ap50']), format_number(whole['coco_ap']), '']]
    for row in rows:
        fall = None if row['coco_ap'] is None else row['coco_ap'] - whole['coco_ap']
        cells.append([row['corruption'], f'{row["unit"]} {row["strength"]:g}',
                      format_number(row['voc10_ap50']), format_number(row['coco_ap']),
                      '–' if fall is None else f'{fall:+.3f}'])
    return [heading('Under corruption'),
            table(['corruption', 'strength', 'AP50 (VOC 2010)', 'COCO AP', 'change'], cells, 2),
            note('Lengths and noise are those of an image 640 px wide. Below, the first image '
                 'under each.'), sheet]


def corruption_sheet(path: Path) -> Markup:
    """Return one picture under every corruption and strength, a row for each kind."""
    source = read_picture(path)
    shown = [(name, unit, strength) for name, (_, unit, strengths) in CORRUPTIONS.items()
             for strength in strengths]
    sheet = contact_sheet([corrupt(source, name, strength, path.name)
                           for name, _, strength in shown],
                          [f'{name}, {unit} {strength:g}' for name, unit, strength in shown],
                          columns=3, tile_width=TILE_WIDTH)
    return image(encode_jpeg(sheet), 'One picture under every corruption')
