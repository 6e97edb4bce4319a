"""Write an evaluation into a folder: report.html, a page without other files, and report.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from tqdm import tqdm

from ssd_perception.core.boxes import iou
from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.evaluation.accuracy import Measurement
from ssd_perception.evaluation.analysis import Evaluation
from ssd_perception.evaluation.corruptions import CORRUPTIONS, corrupt
from ssd_perception.evaluation.failures import BACKGROUND_IOU, FalsePositive, Miss
from ssd_perception.evaluation.report_page import report_page
from ssd_perception.evaluation.run import MARK
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.imaging.files import read_image
from ssd_perception.viz.contact_sheet import centred, contact_sheet, fit
from ssd_perception.viz.drawing import draw_detections, draw_truth
from ssd_perception.viz.page import figure, html, image, wide
from ssd_perception.viz.tiles import tile

MAX_TILES = 25  # of each kind of failure
SHEET_IMAGES = 12
SHEET_HALF = 290  # px, width of each half of a pair
CORRUPTED_WIDTH = 260  # px


def write_report(folder: Path, measured: Measurement, evaluation: Evaluation,
                 title: str) -> None:
    """Write report.html and report.json into an existing ``folder``.

    The images are read once more from where the samples are.
    """
    analysis = evaluation.analysis
    names = list(analysis.classes)
    shown = [found[found.scores >= analysis.threshold] for found in measured.detections]
    with tqdm(total=3, desc='report', unit='part', leave=False) as bar:
        wrong = [_false_tile(f, measured, names) for f in analysis.false_positives[:MAX_TILES]]
        bar.update()
        missed = [_miss_tile(m, measured, shown, names) for m in analysis.misses[:MAX_TILES]]
        bar.update()
        sheet = _sheet(measured, shown, names)
        bar.update()
    corrupted = _corrupted_sheet(measured.samples[0].path) if evaluation.corruptions else ''
    (folder / 'report.html').write_text(
        report_page(title, evaluation, wrong, missed, sheet, corrupted), encoding='utf-8')
    (folder / MARK).write_text(json.dumps(evaluation.to_json(), indent=1) + '\n',
                               encoding='utf-8')


def _false_tile(false: FalsePositive, measured: Measurement, names: Sequence[str]) -> Markup:
    found = measured.detections[false.image][[false.index]]
    caption = f'{names[false.label]} {false.score:.2f}: {false.kind}'
    if false.kind == 'badly placed':
        caption += f', IoU {false.overlap:.2f}'
    return _figure(measured.samples[false.image].path, found.xyxy[0], found,
                   measured.truths[false.image], names, caption)


def _miss_tile(miss: Miss, measured: Measurement, shown: Sequence[Detections],
               names: Sequence[str]) -> Markup:
    missed = measured.truths[miss.image][[miss.index]]
    box = missed.boxes()[0]
    width, height = box[2:] - box[:2]
    # Cut off rather than rounded: 0.478 below a threshold of 0.48 must not read 0.48.
    seen = 'not seen' if miss.below_threshold is None \
        else f'scored {int(miss.below_threshold * 100) / 100:.2f}'
    # Only boxes that may explain the miss: in a crowd, all boxes together would hide the object.
    found = shown[miss.image]
    found = found[iou(found.xyxy, missed.boxes())[:, 0] >= BACKGROUND_IOU]
    return _figure(measured.samples[miss.image].path, box, found, missed, names,
                   f'{names[miss.label]}, {width:.0f} x {height:.0f} px: {seen}')


def _figure(path: Path, box: np.ndarray, found: Detections, objects: GroundTruth,
            names: Sequence[str], caption: str) -> Markup:
    small = tile(read_image(path), box, found, objects, names)
    return figure(image(encode_jpeg(small), caption),
                  html('{}<br><span class="note">{}</span>', caption, path.name))


def _sheet(measured: Measurement, shown: Sequence[Detections], names: Sequence[str]) -> str:
    """Return pairs of ground truth and detections of random images, the same ones each time."""
    chosen = np.random.default_rng(0).permutation(len(measured.samples))[:SHEET_IMAGES]
    rgb = {i: read_image(measured.samples[i].path) for i in sorted(chosen.tolist())}
    aspect = float(np.median([pixels.shape[0] / pixels.shape[1] for pixels in rgb.values()]))
    height = round(SHEET_HALF * min(max(aspect, 0.5), 1.25))
    pairs, captions = [], []
    for i, pixels in rgb.items():
        # Drawn after shrinking, or nobody could read the labels.
        small = fit(pixels, SHEET_HALF, height)
        factor = small.shape[1] / pixels.shape[1]
        objects, found = measured.truths[i].scaled(factor), shown[i].scaled(factor)
        pairs.append(np.concatenate([
            centred(draw_truth(small, objects, names), SHEET_HALF + 4, height),
            centred(draw_detections(small, found, names, objects), SHEET_HALF + 4, height)],
            axis=1))
        captions.append(f'{measured.samples[i].path.name}   objects: {len(objects.labels)}   '
                        f'detections: {len(found)}')
    sheet = contact_sheet(pairs, captions, columns=2, tile_width=pairs[0].shape[1])
    return wide(image(encode_jpeg(sheet),
                      'Images with ground truth on the left and detections on the right'), 760)


def _corrupted_sheet(path: Path) -> Markup:
    """Return one image under every corruption and strength, a row for each kind."""
    source = read_image(path)
    shown = [(name, unit, strength) for name, (_, unit, strengths) in CORRUPTIONS.items()
             for strength in strengths]
    sheet = contact_sheet([corrupt(source, name, strength, path.name)
                           for name, _, strength in shown],
                          [f'{name}, {unit} {strength:g}' for name, unit, strength in shown],
                          columns=3, tile_width=CORRUPTED_WIDTH)
    return image(encode_jpeg(sheet), 'One image under every corruption')
