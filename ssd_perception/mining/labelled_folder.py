"""Write the chosen frames with boxes to correct: Pascal VOC, COCO and Label Studio at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ssd_perception.bags.reader import Record
from ssd_perception.core.interface import COMPRESSED_TYPE
from ssd_perception.data.writers import (
    LabelledImage,
    coco_instances,
    label_studio_interface,
    label_studio_tasks,
    voc_annotation,
    write_voc_lists,
)
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.replay.cameras import RecordedCamera, Recording
from ssd_perception.replay.times import FrameTimes
from ssd_perception.replay.work_folder import FrameResult
from ssd_perception.viz.drawing import class_colour

_QUALITY = 95  # of images that were recorded raw
_JPEG, _PNG = b'\xff\xd8\xff', b'\x89PNG'


def stems(results: Sequence[FrameResult], cameras: Sequence[RecordedCamera],
          times: FrameTimes) -> list[str]:
    """Return a file name for each frame: its time in ns.

    That is its stamp, by which ``replay --ground-truth`` finds it, except where a camera sets no
    stamps. With several cameras the camera's name goes before it, and what is still equal gets
    the frame's number behind it.
    """
    names = {camera.topic: f'{camera.name}_' if len(cameras) > 1 else '' for camera in cameras}
    found: dict[str, None] = {}
    for result in results:
        stem = f'{names[result.topic]}{times.time_ns(result)}'
        found[f'{stem}_{result.index}' if stem in found else stem] = None
    return list(found)


def records_of(recording: Recording, results: Sequence[FrameResult]) -> Iterator[Record]:
    """Yield the records of ``results``, which are in recorded order."""
    wanted = {result.index for result in results}
    for index, record in enumerate(recording.records()):
        if index in wanted:
            wanted.remove(index)
            yield record
        if not wanted:
            return


def image_file(record: Record, image: np.ndarray) -> tuple[bytes, str]:
    """Return the bytes of an image's file, and their suffix.

    JPEGs and PNGs are taken as they were recorded, bit for bit; others become JPEGs.

    Args:
        image: uint8 (H, W, 3) RGB.
    """
    data = bytes(record.message.data) if record.type == COMPRESSED_TYPE else b''
    if data.startswith((_JPEG, _PNG)):
        return data, '.jpg' if data.startswith(_JPEG) else '.png'
    return encode_jpeg(image, _QUALITY).tobytes(), '.jpg'


def write_folder(root: Path, name: str, split: str, images: Iterable[tuple[LabelledImage, bytes]],
                 class_names: Sequence[str], model: str) -> None:
    """Write everything below ``root``, an empty folder.

    Args:
        name: what the folder will be called.
        images: with the bytes of their files.
        model: what the boxes come from.
    """
    colours = {class_name: class_colour(label) for label, class_name in enumerate(class_names)}
    folders = [root / 'JPEGImages', root / 'Annotations', root / 'coco' / 'images' / split,
               root / 'coco' / 'annotations', root / 'label_studio']
    for folder in folders:
        folder.mkdir(parents=True)
    written: list[LabelledImage] = []
    for image, data in images:
        written.append(image)
        target = root / 'JPEGImages' / image.file
        target.write_bytes(data)
        _share(target, root / 'coco' / 'images' / split / image.file)
        (root / 'Annotations' / f'{image.stem}.xml').write_bytes(voc_annotation(image, name))
    write_voc_lists(root, split, written, colours)
    _write_json(root / 'coco' / 'annotations' / f'instances_{split}.json',
                coco_instances(written, class_names))
    _write_json(root / 'label_studio' / 'tasks.json',
                label_studio_tasks(written, f'{name}/JPEGImages', model))
    (root / 'label_studio' / 'interface.xml').write_text(label_studio_interface(colours),
                                                          encoding='utf-8')


def _write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, indent=1) + '\n')


def _share(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
