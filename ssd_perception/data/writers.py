"""Write labelled images as Pascal VOC, COCO and Label Studio keep them."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.text import printable


@dataclass(frozen=True)
class LabelledImage:
    """One image with the boxes to begin from: what every layout is written from.

    Attributes:
        stem, suffix: the file's name and ending, such as ``.jpg``.
        width, height: pixels.
        xyxy: float (n, 4) continuous edges from 0.
        names: n classes.
        scores: n scores; 1 for what a person drew.
    """

    stem: str
    suffix: str
    width: int
    height: int
    xyxy: np.ndarray
    names: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def file(self) -> str:
        """The file's whole name."""
        return self.stem + self.suffix


def voc_annotation(image: LabelledImage, folder: str, whole: bool = True) -> bytes:
    """Return one image's XML; edges count from 0, as labelImg's do.

    Args:
        whole: round edges to pixels, as labelImg keeps no fractions; otherwise to tenths.
    """
    root = ElementTree.Element('annotation')

    def add(parent: ElementTree.Element, **texts: object) -> None:
        for name, text in texts.items():
            ElementTree.SubElement(parent, name).text = str(text)

    add(root, folder=printable(folder), filename=image.file)  # XML holds no control characters
    add(ElementTree.SubElement(root, 'source'), database='Unknown')
    add(ElementTree.SubElement(root, 'size'), width=image.width, height=image.height, depth=3)
    add(root, segmented=0)
    boxes = whole_pixels(image) if whole else np.round(image.xyxy, 1).tolist()
    for name, box in zip(image.names, boxes):
        item = ElementTree.SubElement(root, 'object')
        cut = (box[0] <= 0 or box[1] <= 0 or box[2] >= image.width or box[3] >= image.height)
        add(item, name=name, pose='Unspecified', truncated=int(cut), difficult=0)
        add(ElementTree.SubElement(item, 'bndbox'),
            **dict(zip(('xmin', 'ymin', 'xmax', 'ymax'), box)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding='utf-8') + b'\n'


def write_voc(root: Path, split: str, images: Iterable[tuple[LabelledImage, bytes]]) -> int:
    """Write a split of a Pascal VOC folder, edges to tenths; return the number of images.

    Args:
        root: made where it is not there; other splits in it stay.
        images: with the bytes of their files.
    """
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    stems = []
    for image, data in images:
        atomic_write(root / 'JPEGImages' / image.file, data)
        atomic_write(root / 'Annotations' / f'{image.stem}.xml',
                     voc_annotation(image, root.name, whole=False))
        stems.append(image.stem)
    atomic_write(root / 'ImageSets' / 'Main' / f'{split}.txt',
                 ''.join(f'{stem}\n' for stem in stems).encode())
    return len(stems)


def whole_pixels(image: LabelledImage) -> list[tuple[int, int, int, int]]:
    """Return the boxes' edges rounded, inside the image, at least one pixel apart."""
    sides = np.array([image.width, image.height] * 2)
    boxes = []
    for box in image.xyxy:
        x0, y0, x1, y1 = np.clip(np.rint(box), 0, sides).astype(int).tolist()
        x0, y0 = min(x0, image.width - 1), min(y0, image.height - 1)
        boxes.append((x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)))
    return boxes


def write_voc_lists(root: Path, split: str, images: Sequence[LabelledImage],
                    colours: dict[str, tuple[int, int, int]]) -> None:
    """Write the list of the split, and labelImg's and CVAT's lists of classes."""
    listing = root / 'ImageSets' / 'Main' / f'{split}.txt'
    listing.parent.mkdir(parents=True)
    listing.write_text(''.join(f'{image.stem}\n' for image in images), encoding='utf-8')
    (root / 'classes.txt').write_text(''.join(f'{name}\n' for name in colours),
                                      encoding='utf-8')
    lines = [f'{name}:{",".join(map(str, rgb))}::' for name, rgb in colours.items()]
    (root / 'labelmap.txt').write_text(
        '\n'.join(['# label:color_rgb:parts:actions', 'background:0,0,0::', *lines]) + '\n',
        encoding='utf-8')


def coco_instances(images: Sequence[LabelledImage], class_names: Sequence[str]) -> dict:
    """Return the content of ``instances_SPLIT.json``; ids count from 1, as COCO's do."""
    category = {name: number for number, name in enumerate(class_names, 1)}
    annotations: list[dict] = []
    for number, image in enumerate(images, 1):
        for box, name, score in zip(image.xyxy.tolist(), image.names, image.scores):
            x0, y0, x1, y1 = (round(value, 2) for value in box)
            width, height = round(x1 - x0, 2), round(y1 - y0, 2)
            annotations.append({
                'id': len(annotations) + 1, 'image_id': number, 'category_id': category[name],
                'bbox': [x0, y0, width, height], 'area': round(width * height, 2), 'iscrowd': 0,
                'segmentation': [], 'score': round(score, 4)})
    return {
        'images': [{'id': number, 'file_name': image.file, 'width': image.width,
                    'height': image.height} for number, image in enumerate(images, 1)],
        'annotations': annotations,
        'categories': [{'id': number, 'name': name, 'supercategory': ''}
                       for name, number in category.items()]}


def label_studio_tasks(images: Sequence[LabelledImage], folder: str, model: str) -> list[dict]:
    """Return what Label Studio imports; each image's detections are a prediction.

    Args:
        folder: the images' folder below Label Studio's root of local files.
        model: shown as the predictions' version.
    """
    return [{
        'data': {'image': f'/data/local-files/?d={quote(os.fsencode(folder))}/{image.file}'},
        'predictions': [{
            'model_version': model,
            'score': round(min(image.scores, default=1.0), 4),
            'result': [_region(number, image, box, name, score) for number, (box, name, score)
                       in enumerate(zip(image.xyxy.tolist(), image.names, image.scores))],
        }],
    } for image in images]


def _region(number: int, image: LabelledImage, box: list[float], name: str, score: float) -> dict:
    x0, y0, x1, y1 = box
    across, down = 100 / image.width, 100 / image.height  # per cent of the image
    return {'id': f'{image.stem}_{number}', 'type': 'rectanglelabels', 'from_name': 'label',
            'to_name': 'image', 'original_width': image.width,
            'original_height': image.height, 'image_rotation': 0, 'score': round(score, 4),
            'value': {'x': x0 * across, 'y': y0 * down, 'width': (x1 - x0) * across,
                      'height': (y1 - y0) * down, 'rotation': 0, 'rectanglelabels': [name]}}


def label_studio_interface(colours: dict[str, tuple[int, int, int]]) -> str:
    """Return the project's labelling interface, XML; ``colours`` is class -> RGB."""
    view = ElementTree.Element('View')
    ElementTree.SubElement(view, 'Image', name='image', value='$image')
    labels = ElementTree.SubElement(view, 'RectangleLabels', name='label', toName='image')
    for name, rgb in colours.items():
        ElementTree.SubElement(labels, 'Label', value=name,
                               background='#{:02x}{:02x}{:02x}'.format(*rgb))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding='unicode') + '\n'
