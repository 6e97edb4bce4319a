"""Label Studio's tasks with predictions, and the labelling interface that they belong to."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from ssd_perception.mining.picture import Picture


def tasks(pictures: Sequence[Picture], folder: str, model: str) -> list[dict]:
    """Return what Label Studio imports; each picture's detections are a prediction.

    Args:
        folder: the pictures' folder below Label Studio's root of local files.
        model: shown as the predictions' version.
    """
    return [{
        'data': {'image': f'/data/local-files/?d={folder}/{picture.file}'},
        'predictions': [{
            'model_version': model,
            'score': round(min(picture.scores, default=1.0), 4),
            'result': [_region(number, picture, box, name, score) for number, (box, name, score)
                       in enumerate(zip(picture.xyxy.tolist(), picture.names, picture.scores))],
        }],
    } for picture in pictures]


def _region(number: int, picture: Picture, box: list[float], name: str, score: float) -> dict:
    x0, y0, x1, y1 = box
    across, down = 100 / picture.width, 100 / picture.height  # per cent of the picture
    return {'id': f'{picture.stem}_{number}', 'type': 'rectanglelabels', 'from_name': 'label',
            'to_name': 'image', 'original_width': picture.width,
            'original_height': picture.height, 'image_rotation': 0, 'score': round(score, 4),
            'value': {'x': x0 * across, 'y': y0 * down, 'width': (x1 - x0) * across,
                      'height': (y1 - y0) * down, 'rotation': 0, 'rectanglelabels': [name]}}


def interface(colours: dict[str, tuple[int, int, int]]) -> str:
    """Return the project's labelling interface, XML; ``colours`` is class -> RGB."""
    view = ElementTree.Element('View')
    ElementTree.SubElement(view, 'Image', name='image', value='$image')
    labels = ElementTree.SubElement(view, 'RectangleLabels', name='label', toName='image')
    for name, rgb in colours.items():
        ElementTree.SubElement(labels, 'Label', value=name,
                               background='#{:02x}{:02x}{:02x}'.format(*rgb))
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding='unicode') + '\n'
