"""Detect in pictures or a folder of them: annotated copies and one JSON line per picture."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('pictures', type=Path, nargs='+', metavar='PATH',
                        help='pictures (.jpg, .jpeg, .png) or folders of them')
    parser.add_argument('--weights', default='', help='path or name (default: rover)')
    parser.add_argument('--device', default='auto', help='auto, cpu or cuda')
    parser.add_argument('--score-threshold', type=float, default=None,
                        help="default: the weights' own measured one")
    parser.add_argument('--out', type=Path, default=Path('detections'), metavar='DIR',
                        help='folder for annotated pictures and detections.jsonl '
                        '(default: detections)')


def run(args: argparse.Namespace) -> int:
    """Detect; a picture that cannot be read is named and skipped, and the exit code is 1."""
    import cv2
    from tqdm import tqdm

    from ssd_perception.data.pictures import read_picture
    from ssd_perception.data.voc import PICTURE_SUFFIXES, DataError
    from ssd_perception.inference.detector import Detector
    from ssd_perception.inference.drawing import draw_detections

    paths = []
    for place in args.pictures:
        paths += sorted(p for p in place.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES) \
            if place.is_dir() else [place]
    if not paths:
        raise DataError(f'No pictures (.jpg, .jpeg, .png) in '
                        f'{", ".join(map(str, args.pictures))}.')
    detector = Detector.from_weights(args.weights, device=args.device,
                                     score_threshold=args.score_threshold)
    print(detector.describe())
    args.out.mkdir(parents=True, exist_ok=True)
    unreadable = 0
    with open(args.out / 'detections.jsonl', 'w') as lines:
        for path in tqdm(paths, 'detect', unit='img'):
            try:
                image = read_picture(path)
            except DataError as error:
                unreadable += 1
                tqdm.write(str(error), file=sys.stderr)
                continue
            found, = detector([image])
            lines.write(json.dumps({'picture': str(path), 'detections': [
                {'class': detector.class_names[label], 'score': round(float(score), 4),
                 'xyxy': [round(float(v), 2) for v in box]}
                for box, score, label in zip(found.xyxy, found.scores, found.labels)]}) + '\n')
            drawn = draw_detections(image, found, detector.class_names)
            cv2.imwrite(str(args.out / f'{path.stem}.jpg'), drawn[..., ::-1])
    print(f'{len(paths) - unreadable} pictures; results are in {args.out}.')
    return 1 if unreadable else 0
