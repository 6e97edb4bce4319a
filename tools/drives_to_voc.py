"""Write the frames and the ground truth of rendered drives as one Pascal VOC folder.

    python tools/drives_to_voc.py DRIVES drive_8101 drive_8102 --longest-side 448
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2

from ssd_perception.bags.frames import labelled_frames
from ssd_perception.data.writers import LabelledImage, write_voc
from ssd_perception.imaging.compressed import encode_jpeg

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
    count = write_voc(args.folder, 'train', (
        image for recording in args.recordings
        for image in images(recording, args.classes, args.longest_side)))
    print(f'{args.folder}: {count} images of {len(args.recordings)} drives')


def images(recording: Path, classes: Sequence[str],
           longest_side: int) -> Iterator[tuple[LabelledImage, bytes]]:
    """Yield the frames of a recording that have ground truth, with their files."""
    for frame in labelled_frames(recording, classes):
        height, width = frame.image.shape[:2]
        scale = min(1.0, longest_side / max(height, width))
        size = round(width * scale), round(height * scale)
        image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
        yield LabelledImage(
            f'{recording.name}_{frame.stamp_ns}', '.jpg', *size, frame.xyxy * scale,
            tuple(classes[label] for label in frame.labels),
            (1.0,) * len(frame.labels)), encode_jpeg(image, JPEG_QUALITY).tobytes()


if __name__ == '__main__':
    main()
