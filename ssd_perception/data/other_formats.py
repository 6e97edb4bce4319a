"""Say what a folder holds that no layout reads: a format of another kind, or images alone."""

from __future__ import annotations

import itertools
import re
from fnmatch import fnmatch
from pathlib import Path

from ssd_perception.core.errors import DataError
from ssd_perception.core.safe_path import regular_file
from ssd_perception.core.text import counted, printable
from ssd_perception.data.folder import files_below
from ssd_perception.data.sample import IMAGE_SUFFIXES, OTHER_SUFFIXES, VIDEO_SUFFIXES

_EXPORT = 'export the labels as YOLO, COCO or Pascal VOC'
_ARCHIVES = ('.zip', '.tar', '.gz', '.tgz', '.7z', '.rar')
_MAX_FILES = 100_000  # that are looked at
_MAX_JSON = 20  # that are opened
_JSON_BYTES = 20_000  # of their beginning
# What files of other formats are called, in lower case.
_BY_NAME = (
    ('*_classes.csv', 'a table of classes without boxes'),
    ('*.createml.json', 'the format of CreateML'),
    ('*.ndjson', 'NDJSON'),
    ('*.tfrecord*', 'TFRecord'),
    ('*_annotations.txt', 'the format of YOLOv3 and YOLOv4 in Keras and PyTorch'),
    ('*.csv', 'a CSV table'),
    ('*.mat', 'a file of MATLAB'))
# What only their JSON files have: all of these keys.
_BY_KEYS = (
    (('shapes', 'imagePath'), 'the format of labelme'),
    (('regions', 'file_attributes'), 'the format of VGG Image Annotator'),
    (('_via_img_metadata',), 'the format of VGG Image Annotator'),
    (('classTitle',), 'the format of Supervisely'),
    (('items', 'categories'), 'the format of Datumaro'),
    (('annotations', 'result', 'data'), 'the format "JSON" of Label Studio'))


def describe(folder: Path) -> str | None:
    """Return a sentence on what ``folder`` holds and what to do; None where it holds nothing.

    At most ``_MAX_FILES`` files are looked at.
    """
    images, others = 0, []
    archive = unread = None
    for path in itertools.islice(files_below(folder, ('',)), _MAX_FILES):
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            images += 1
        elif suffix in OTHER_SUFFIXES:
            unread = unread or path
        elif suffix in _ARCHIVES:
            archive = archive or path
        else:
            others.append(path)
    found = _format(others)
    if found:
        return (f'{printable(found[0])} is {found[1]}, which is not read: {_EXPORT}.')
    if archive:
        remedy = 'give that' if archive.suffix.lower() == '.zip' else \
            'unpack that and give its folder'
        return f'{folder} holds the archive {printable(archive, 1000)}: {remedy}.'
    if images:
        return (f'{folder} holds {counted(images, "image")} and no boxes that can be read: label '
                f'them, for example with Label Studio or CVAT, and {_EXPORT}.')
    if unread:
        return f'{folder} holds images such as {printable(unread.name)}: convert them to JPEG.'
    videos = [path for path in others if path.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        return (f'{folder} holds the video {printable(videos[0].name)} and no images: save frames '
                'of it as images, for example with ffmpeg, and label them.')
    if others:
        return (f'{folder} holds no images: images and labels are expected together (CVAT exports '
                'both with "Save images").')
    return None


def _format(paths: list[Path]) -> tuple[Path, str] | None:
    """Return a file of another format, and what that is."""
    for pattern, what in _BY_NAME:
        for path in paths:
            if fnmatch(path.name.lower(), pattern):
                return path, what
    documents = [path for path in paths if path.suffix.lower() == '.json']
    for path in documents[:_MAX_JSON]:
        try:
            with open(regular_file(path), 'rb') as file:
                text = file.read(_JSON_BYTES)
        except (OSError, DataError):
            continue
        for keys, what in _BY_KEYS:
            if all(re.search(rf'"{key}"\s*:'.encode(), text) for key in keys):
                return path, what
    return next(((path, 'the format of KITTI') for path in paths
                 if path.parent.name == 'label_2'), None)
