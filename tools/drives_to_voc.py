"""Write the frames and the ground truth of rendered drives as one Pascal VOC folder.

    python tools/drives_to_voc.py DRIVES drive_8101 drive_8102 --longest-side 448
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

from ssd_perception.bags.frames import labelled_frames
from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.data.writers import LabelledImage, voc_annotation

JPEG_QUALITY = 84  # that of the recording


def main() -> None:
    """Parse the command line and write every frame that has ground truth."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='Pascal VOC folder to fill')
    parser.add_argument('recordings', type=Path, nargs='+', help='of demo.render_drive')
    parser.add_argument('--classes', nargs='+', default=['cone', 'cube'])
    parser.add_argument('--longest-side', type=int, default=640, metavar='PX',
                        help='shrink images to this')
    args = parser.parse_args()
    for name in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (args.folder / name).mkdir(parents=True, exist_ok=True)
    names = []
    for recording in args.recordings:
        for frame in labelled_frames(recording, args.classes):
            height, width = frame.image.shape[:2]
            scale = min(1.0, args.longest_side / max(height, width))
            size = round(width * scale), round(height * scale)
            image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
            stem = f'{recording.name}_{frame.stamp_ns}'
            labelled = LabelledImage(
                stem, '.jpg', *size, frame.xyxy * scale,
                tuple(args.classes[label] for label in frame.labels), (1.0,) * len(frame.labels))
            _, jpeg = cv2.imencode('.jpg', image[:, :, ::-1],
                                   [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            atomic_write(args.folder / 'JPEGImages' / labelled.file, jpeg.tobytes())
            atomic_write(args.folder / 'Annotations' / f'{stem}.xml',
                         voc_annotation(labelled, args.folder.name, whole=False))
            names.append(stem)
    atomic_write(args.folder / 'ImageSets' / 'Main' / 'train.txt',
                 ''.join(f'{name}\n' for name in names).encode())
    print(f'{args.folder}: {len(names)} images of {len(args.recordings)} drives')


if __name__ == '__main__':
    main()
