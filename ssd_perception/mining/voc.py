"""Pascal VOC's layout, as labelImg and CVAT read it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssd_perception.mining.picture import Picture


def annotation(picture: Picture, folder: str) -> bytes:
    """Return one picture's XML.

    Edges are whole pixels: labelImg keeps no fractions. They count from 0, as labelImg's do.
    """
    root = ElementTree.Element('annotation')

    def add(parent: ElementTree.Element, **texts) -> None:
        for name, text in texts.items():
            ElementTree.SubElement(parent, name).text = str(text)

    add(root, folder=folder, filename=picture.file)
    add(ElementTree.SubElement(root, 'source'), database='Unknown')
    add(ElementTree.SubElement(root, 'size'), width=picture.width, height=picture.height, depth=3)
    add(root, segmented=0)
    for name, box in zip(picture.names, whole_pixels(picture)):
        item = ElementTree.SubElement(root, 'object')
        cut = (box[0] <= 0 or box[1] <= 0 or box[2] >= picture.width or box[3] >= picture.height)
        add(item, name=name, pose='Unspecified', truncated=int(cut), difficult=0)
        add(ElementTree.SubElement(item, 'bndbox'),
            **dict(zip(('xmin', 'ymin', 'xmax', 'ymax'), box)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding='utf-8') + b'\n'


def whole_pixels(picture: Picture) -> list[tuple[int, int, int, int]]:
    """Return the boxes' edges rounded, inside the picture, at least one pixel apart."""
    sides = np.array([picture.width, picture.height] * 2)
    boxes = []
    for box in picture.xyxy:
        x0, y0, x1, y1 = np.clip(np.rint(box), 0, sides).astype(int).tolist()
        x0, y0 = min(x0, picture.width - 1), min(y0, picture.height - 1)
        boxes.append((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))
    return boxes


def write_lists(root: Path, split: str, pictures: Sequence[Picture],
                colours: dict[str, tuple[int, int, int]]) -> None:
    """Write what goes with the annotations: the split, labelImg's and CVAT's lists of classes."""
    listing = root / 'ImageSets' / 'Main' / f'{split}.txt'
    listing.parent.mkdir(parents=True)
    listing.write_text(''.join(f'{picture.stem}\n' for picture in pictures))
    (root / 'classes.txt').write_text(''.join(f'{name}\n' for name in colours))
    lines = [f'{name}:{",".join(map(str, rgb))}::' for name, rgb in colours.items()]
    (root / 'labelmap.txt').write_text(
        '\n'.join(['# label:color_rgb:parts:actions', 'background:0,0,0::', *lines]) + '\n')
