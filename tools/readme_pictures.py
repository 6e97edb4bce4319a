"""Make the README's images from a replay of the demo recording.

    ssd_perception replay demo/recording --ground-truth /ground_truth/detections --out replayed
    python tools/readme_pictures.py replayed
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from ssd_perception.bags.frames import labelled_frames
from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.evaluation.model_card import INK
from ssd_perception.viz.contact_sheet import contact_sheet, spread
from ssd_perception.viz.drawing import draw_detections

IMAGES = Path(__file__).parents[1] / 'docs' / 'images'
TILES, WIDTH = 12, 1200


def main() -> None:
    """Write docs/images/demo.jpg and replay.svg."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('replayed', type=Path, help='folder of a replay of demo/recording')
    parser.add_argument('--recording', type=Path, default=Path('demo/recording'))
    args = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    sheet = frames(args.replayed, args.recording)
    height = round(sheet.shape[0] * WIDTH / sheet.shape[1])
    small = cv2.resize(sheet, (WIDTH, height), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(IMAGES / 'demo.jpg'), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    timeline(args.replayed / 'report.html', IMAGES / 'replay.svg')


def frames(replayed: Path, recording: Path) -> np.ndarray:
    """Return a contact sheet, uint8 (H, W, 3) RGB, of frames with detections and ground truth."""
    names = list(json.loads((replayed / 'summary.json').read_text())['detections_per_class'])
    lines = [json.loads(line)
             for line in (replayed / 'detections.jsonl').read_text().splitlines()]
    labelled = list(labelled_frames(recording, names))
    tiles, captions = [], []
    for index in spread(len(lines), TILES):
        line, frame = lines[index], labelled[index]
        found = line['detections']
        detections = Detections([d['xyxy'] for d in found], [d['score'] for d in found],
                                [names.index(d['class']) for d in found])
        truth = GroundTruth(frame.xyxy, frame.labels)
        tiles.append(draw_detections(frame.image, detections, names, truth))
        seconds = (line['stamp_ns'] - lines[0]['stamp_ns']) / 1e9
        captions.append(f'{seconds:.1f} s   {len(found)} detections')
    return contact_sheet(tiles, captions)


def timeline(page: Path, target: Path) -> None:
    """Write the first plot of a replay's page as an SVG of its own."""
    text = page.read_text(encoding='utf-8')
    svg = text[text.index('<svg'):text.index('</svg>') + len('</svg>')]
    svg = svg.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    target.write_text(svg.replace('currentColor', INK) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
