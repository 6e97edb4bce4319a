"""Replace the boxes of a mined folder by the ground truth of its recording.

Stands in for the person who corrects them, where a rendered drive knows what is where:

    ssd_perception bag_to_voc drive --out mined
    python tools/truth_into_voc.py drive mined
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ssd_perception.bags.frames import TRUTH_TOPIC, labelled_frames
from ssd_perception.data.writers import LabelledImage, voc_annotation


def main() -> None:
    """Rewrite the annotations; images without ground truth are an error."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bag', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--classes', nargs='+', default=['cone', 'cube'])
    parser.add_argument('--topic', default=TRUTH_TOPIC)
    args = parser.parse_args()
    left = {path.stem: path for path in (args.folder / 'JPEGImages').iterdir()}
    for frame in labelled_frames(args.bag, args.classes, truth_topic=args.topic):
        path = left.pop(str(frame.stamp_ns), None)
        if path is None:
            continue
        height, width = frame.image.shape[:2]
        image = LabelledImage(path.stem, path.suffix, width, height, frame.xyxy,
                              tuple(args.classes[label] for label in frame.labels),
                              (1.0,) * len(frame.labels))
        target = args.folder / 'Annotations' / f'{path.stem}.xml'
        target.write_bytes(voc_annotation(image, args.folder.name))
    if left:
        raise SystemExit(f'{args.bag} has no ground truth for {", ".join(sorted(left))}.')


if __name__ == '__main__':
    main()
