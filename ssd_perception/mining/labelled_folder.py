"""Write the chosen frames with boxes to correct: Pascal VOC, COCO and Label Studio at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ssd_perception.bags.frames import to_rgb
from ssd_perception.bags.reader import Bag
from ssd_perception.core.detections import Detections
from ssd_perception.core.interface import COMPRESSED_TYPE
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.mining import coco, label_studio, voc
from ssd_perception.mining.picture import Picture
from ssd_perception.replay.cameras import Camera
from ssd_perception.replay.chunks import Answer
from ssd_perception.viz.drawing import class_colour

_QUALITY = 95  # of pictures that were recorded raw
_JPEG, _PNG = b'\xff\xd8\xff', b'\x89PNG'


def stems(answers: Sequence[Answer], cameras: Sequence[Camera]) -> list[str]:
    """Return a file name for each frame: its stamp, by which ``replay --against`` finds it.

    With several cameras the camera's name goes before it, and what is still equal gets the
    frame's number behind it.
    """
    names = {camera.topic: f'{camera.name}_' if len(cameras) > 1 else '' for camera in cameras}
    found, used = [], set()
    for answer in answers:
        stem = f'{names[answer.topic]}{answer.stamp_ns}'
        found.append(f'{stem}_{answer.index}' if stem in used else stem)
        used.add(stem)
    return found


def recorded_pictures(bag: Bag, cameras: Sequence[Camera],
                      answers: Sequence[Answer]) -> Iterator[tuple[Answer, bytes, str]]:
    """Yield (frame, bytes, suffix) of ``answers`` in recorded order.

    JPEGs and PNGs are taken as they were recorded, bit for bit; others become JPEGs.
    """
    wanted = {answer.index: answer for answer in answers}
    for index, record in enumerate(bag.records([camera.topic for camera in cameras])):
        if index not in wanted:
            continue
        answer, message = wanted.pop(index), record.message
        data = bytes(message.data) if record.type == COMPRESSED_TYPE else b''
        if data.startswith((_JPEG, _PNG)):
            yield answer, data, '.jpg' if data.startswith(_JPEG) else '.png'
        else:
            yield answer, encode_jpeg(to_rgb(message), _QUALITY).tobytes(), '.jpg'
        if not wanted:
            return


def write_folder(root: Path, name: str, split: str, frames: Iterator[tuple[Answer, bytes, str]],
                 file_stems: dict[int, str], class_names: Sequence[str],
                 shown: Callable[[Detections], Detections], model: str) -> list[Picture]:
    """Write everything below ``root``, an empty folder; return the pictures in their order.

    Args:
        name: what the folder will be called.
        frames: of ``recorded_pictures``.
        file_stems: frame's index -> file name without ending.
        shown: of all detections, those that become boxes.
        model: what the boxes come from.
    """
    colours = {class_name: class_colour(label) for label, class_name in enumerate(class_names)}
    folders = [root / 'JPEGImages', root / 'Annotations', root / 'coco' / 'images' / split,
               root / 'coco' / 'annotations', root / 'label_studio']
    for folder in folders:
        folder.mkdir(parents=True)
    pictures = []
    for answer, data, suffix in frames:
        found = shown(answer.detections)
        picture = Picture(file_stems[answer.index], suffix, answer.width, answer.height,
                          found.xyxy, tuple(class_names[label] for label in found.labels),
                          tuple(found.scores.tolist()))
        pictures.append(picture)
        target = root / 'JPEGImages' / picture.file
        target.write_bytes(data)
        _share(target, root / 'coco' / 'images' / split / picture.file)
        (root / 'Annotations' / f'{picture.stem}.xml').write_bytes(voc.annotation(picture, name))
    voc.write_lists(root, split, pictures, colours)
    _write_json(root / 'coco' / 'annotations' / f'instances_{split}.json',
                coco.instances(pictures, class_names))
    _write_json(root / 'label_studio' / 'tasks.json',
                label_studio.tasks(pictures, f'{name}/JPEGImages', model))
    (root / 'label_studio' / 'interface.xml').write_text(label_studio.interface(colours))
    return pictures


def _write_json(path: Path, values) -> None:
    path.write_text(json.dumps(values, indent=1) + '\n')


def _share(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
