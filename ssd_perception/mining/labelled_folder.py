"""Write the chosen frames with boxes to correct: Pascal VOC, COCO and Label Studio at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ssd_perception.bags.frames import to_rgb
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
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.times import FrameTimes
from ssd_perception.replay.work_folder import FrameResult
from ssd_perception.viz.drawing import class_colour

_QUALITY = 95  # of images that were recorded raw
_JPEG, _PNG = b'\xff\xd8\xff', b'\x89PNG'


def stems(results: Sequence[FrameResult], cameras: Sequence[RecordedCamera],
          times: FrameTimes) -> dict[int, str]:
    """Return a file name for each frame's index: its time in ns.

    That is its stamp, by which ``replay --ground-truth`` finds it, except where a camera sets no
    stamps. With several cameras the camera's name goes before it, and what is still equal gets
    the frame's number behind it.
    """
    names = {camera.topic: f'{camera.name}_' if len(cameras) > 1 else '' for camera in cameras}
    found: dict[int, str] = {}
    taken: set[str] = set()
    for result in results:
        stem = f'{names[result.topic]}{times.time_ns(result)}'
        found[result.index] = f'{stem}_{result.index}' if stem in taken else stem
        taken.add(found[result.index])
    return found


def recorded_images(recording: Recording, results: Sequence[FrameResult]
                    ) -> Iterator[tuple[FrameResult, bytes, str]]:
    """Yield (frame, bytes, suffix) of ``results`` in recorded order.

    JPEGs and PNGs are taken as they were recorded, bit for bit; others become JPEGs.
    """
    wanted = {result.index: result for result in results}
    for index, record in enumerate(recording.records()):
        if index not in wanted:
            continue
        result, message = wanted.pop(index), record.message
        data = bytes(message.data) if record.type == COMPRESSED_TYPE else b''
        if data.startswith((_JPEG, _PNG)):
            yield result, data, '.jpg' if data.startswith(_JPEG) else '.png'
        else:
            yield result, encode_jpeg(to_rgb(message), _QUALITY).tobytes(), '.jpg'
        if not wanted:
            return


def write_folder(root: Path, name: str, split: str,
                 frames: Iterator[tuple[FrameResult, bytes, str]], file_stems: Mapping[int, str],
                 thresholds: ScoreThresholds, model: str) -> dict[int, str]:
    """Write everything below ``root``, an empty folder; return frame's index -> file name.

    Args:
        name: what the folder will be called.
        frames: of ``recorded_images``.
        file_stems: frame's index -> file name without ending.
        thresholds: choose of all detections those that become boxes.
        model: what the boxes come from.
    """
    class_names = thresholds.class_names
    colours = {class_name: class_colour(label) for label, class_name in enumerate(class_names)}
    folders = [root / 'JPEGImages', root / 'Annotations', root / 'coco' / 'images' / split,
               root / 'coco' / 'annotations', root / 'label_studio']
    for folder in folders:
        folder.mkdir(parents=True)
    images: dict[int, LabelledImage] = {}
    for result, data, suffix in frames:
        found = thresholds.passed(result.detections)
        image = LabelledImage(file_stems[result.index], suffix, result.width, result.height,
                              found.xyxy, tuple(class_names[label] for label in found.labels),
                              tuple(found.scores.tolist()))
        images[result.index] = image
        target = root / 'JPEGImages' / image.file
        target.write_bytes(data)
        _share(target, root / 'coco' / 'images' / split / image.file)
        (root / 'Annotations' / f'{image.stem}.xml').write_bytes(voc_annotation(image, name))
    written = list(images.values())
    write_voc_lists(root, split, written, colours)
    _write_json(root / 'coco' / 'annotations' / f'instances_{split}.json',
                coco_instances(written, class_names))
    _write_json(root / 'label_studio' / 'tasks.json',
                label_studio_tasks(written, f'{name}/JPEGImages', model))
    (root / 'label_studio' / 'interface.xml').write_text(label_studio_interface(colours))
    return {index: image.file for index, image in images.items()}


def _write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, indent=1) + '\n')


def _share(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
