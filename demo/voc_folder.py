"""Writing a Pascal VOC folder: JPEGImages, Annotations and ImageSets/Main."""

import os
from pathlib import Path
from xml.sax.saxutils import escape


def write_atomically(path, data):
    """Write bytes so that `path` either is absent or complete."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + '.part')
    temporary.write_bytes(data)
    os.replace(temporary, path)


def annotation_xml(folder, filename, width, height, boxes):
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


def write_split(root, split, names):
    """Write the list of one split."""
    text = ''.join(name + '\n' for name in names)
    write_atomically(Path(root) / 'ImageSets' / 'Main' / f'{split}.txt', text.encode())
