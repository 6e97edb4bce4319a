"""Small data sets on disk, in every layout, for tests of what reads and checks them."""

import json
from pathlib import Path

import cv2
import numpy as np

SIDES = ('xmin', 'ymin', 'xmax', 'ymax')


def scene(seed: int, width: int = 96, height: int = 72) -> np.ndarray:
    """Return a picture like no other seed's: smooth blobs, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def xml(objects=(), size=(96, 72), database='', extra='') -> str:
    """Return a VOC annotation; objects are (name, box) or (name, box, difficult)."""
    text = ''.join(
        f'<object><name>{name}</name><difficult>{int(bool(rest and rest[0]))}</difficult><bndbox>'
        + ''.join(f'<{side}>{value}</{side}>' for side, value in zip(SIDES, box))
        + '</bndbox></object>' for name, box, *rest in objects)
    return (f'<annotation><source><database>{database}</database></source><size><width>{size[0]}'
            f'</width><height>{size[1]}</height></size>{text}{extra}</annotation>')


def write_voc(root: Path, splits: dict, **options) -> Path:
    """Write ``{split: {name: objects}}``; a picture's look follows from its name."""
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for split, pictures in splits.items():
        (root / f'ImageSets/Main/{split}.txt').write_text('\n'.join(pictures) + '\n')
        for name, objects in pictures.items():
            (root / f'Annotations/{name}.xml').write_text(xml(objects, **options))
            cv2.imwrite(str(root / f'JPEGImages/{name}.jpg'), scene(seed_of(name)))
    return root


def seed_of(name: str) -> int:
    """Return a number that follows from a name."""
    return int.from_bytes(name.encode(), 'big') % 2 ** 32


def coco(pictures: dict, suffix='.jpg') -> dict:
    """Return COCO's JSON for ``{name: objects}``; ids are neither dense nor sorted."""
    names = sorted({name for objects in pictures.values() for name, *_ in objects})
    rows = []
    for i, objects in enumerate(pictures.values()):
        for name, (x0, y0, x1, y1), *crowd in objects:
            rows.append({'id': len(rows), 'image_id': 900 - 7 * i,
                         'category_id': 3 + 2 * names.index(name),
                         'bbox': [x0, y0, x1 - x0, y1 - y0],
                         'iscrowd': int(bool(crowd and crowd[0]))})
    return {'images': [{'id': 900 - 7 * i, 'file_name': name + suffix, 'width': 96, 'height': 72}
                       for i, name in enumerate(pictures)],
            'annotations': rows,
            'categories': [{'id': 3 + 2 * i, 'name': name} for i, name in enumerate(names)]}


def write_coco(root: Path, splits: dict, pictures_in='{split}') -> Path:
    """Write the standard form, pictures in a folder named by the pattern ``pictures_in``."""
    (root / 'annotations').mkdir(parents=True, exist_ok=True)
    for split, pictures in splits.items():
        (root / f'annotations/instances_{split}.json').write_text(json.dumps(coco(pictures)))
        write_pictures(root / pictures_in.format(split=split), pictures)
    return root


def write_roboflow(root: Path, splits: dict) -> Path:
    """Write Roboflow's form: everything of a split in one folder."""
    for split, pictures in splits.items():
        write_pictures(root / split, pictures)
        (root / split / '_annotations.coco.json').write_text(json.dumps(coco(pictures)))
    return root


def yolo_lines(objects, names, width=96, height=72) -> str:
    """Return a file of YOLO labels for (name, box) rows."""
    return ''.join(
        f'{names.index(name)} {(x0 + x1) / 2 / width!r} {(y0 + y1) / 2 / height!r} '
        f'{(x1 - x0) / width!r} {(y1 - y0) / height!r}\n'
        for name, (x0, y0, x1, y1), *_ in objects)


def write_yolo(root: Path, splits: dict, names=('cone', 'cube'), images='{split}/images',
               labels='{split}/labels', description='roboflow') -> Path:
    """Write ``{split: {name: objects}}`` in YOLO's layout; no objects, no file of labels.

    Args:
        images, labels: patterns of the folders.
        description: ``roboflow`` or ``ultralytics`` data.yaml, ``classes.txt``, or none ('').
    """
    root.mkdir(parents=True, exist_ok=True)
    for split, pictures in splits.items():
        write_pictures(root / images.format(split=split), pictures)
        folder = root / labels.format(split=split)
        folder.mkdir(parents=True, exist_ok=True)
        for name, objects in pictures.items():
            if objects:
                (folder / f'{name}.txt').write_text(yolo_lines(objects, names))
    if description == 'roboflow':
        folders = ''.join(f'{"val" if split == "valid" else split}: ../'
                          f'{images.format(split=split)}\n' for split in splits)
        text = f'{folders}\nnc: {len(names)}\nnames: {list(names)}\n'
        (root / 'data.yaml').write_text(text)
    elif description == 'ultralytics':
        folders = ''.join(f'{split}: {images.format(split=split)}\n' for split in splits)
        rows = ''.join(f'  {number}: {name}\n' for number, name in enumerate(names))
        (root / 'my_set.yaml').write_text(
            f'path: ../datasets/{root.name}\n{folders}names:\n{rows}')
    elif description:
        (root / description).write_text('\n'.join(names) + '\n')
    return root


def write_pictures(folder: Path, names) -> None:
    """Write the pictures of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / f'{name}.jpg'), scene(seed_of(name)))
