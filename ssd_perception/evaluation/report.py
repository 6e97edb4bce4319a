"""An evaluation becomes a folder: report.html, which needs nothing else, and report.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from tqdm import tqdm

from ssd_perception.core.boxes import iou
from ssd_perception.core.detections import Detections
from ssd_perception.evaluation.analysis import Analysis
from ssd_perception.evaluation.corruption_table import corruption_sheet
from ssd_perception.evaluation.evaluate import Measurement
from ssd_perception.evaluation.evaluation_page import evaluation_page
from ssd_perception.evaluation.failures import BACKGROUND_IOU, FalsePositive, Miss
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.imaging.files import read_picture
from ssd_perception.viz.contact_sheet import centred, contact_sheet, fit
from ssd_perception.viz.drawing import draw_detections, draw_truth
from ssd_perception.viz.page import figure, html, image, wide
from ssd_perception.viz.tiles import as_drawn, tile

MARK = 'report.json'
MAX_TILES = 25  # of each kind of failure
SHEET_PICTURES = 12
SHEET_HALF = 290  # px, width of each half of a pair


def write_evaluation(folder: Path, measured: Measurement, analysis: Analysis,
                     class_names: Sequence[str], title: str) -> None:
    """Write report.html and report.json into an existing ``folder``.

    The pictures are read once more from where the samples are.
    """
    figures = analysis.figures
    threshold = figures['operating_point']['score_threshold']
    shown = [found[found.scores >= threshold] for found in measured.detections]
    with tqdm(total=3, desc='report', unit='part', leave=False) as bar:
        wrong = [_false_tile(f, measured, class_names)
                 for f in analysis.false_positives[:MAX_TILES]]
        bar.update()
        missed = [_miss_tile(m, measured, shown, class_names)
                  for m in analysis.misses[:MAX_TILES]]
        bar.update()
        sheet = _sheet(measured, shown, class_names)
        bar.update()
    faults = corruption_sheet(measured.samples[0].path) if 'corruptions' in figures else ''
    (folder / 'report.html').write_text(
        evaluation_page(title, figures, wrong, missed, sheet, faults), encoding='utf-8')
    (folder / MARK).write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


def _false_tile(false: FalsePositive, measured: Measurement, names: Sequence[str]) -> str:
    found = measured.detections[false.image][[false.index]]
    caption = f'{names[false.label]} {false.score:.2f}: {false.kind}'
    if false.kind == 'badly placed':
        caption += f', IoU {false.overlap:.2f}'
    return _figure(measured.samples[false.image].path, found.xyxy[0], found,
                   as_drawn(measured.truths[false.image]), names, caption)


def _miss_tile(miss: Miss, measured: Measurement, shown: Sequence[Detections],
               names: Sequence[str]) -> str:
    missed = as_drawn(measured.truths[miss.image])[[miss.index]]
    width, height = missed.xyxy[0, 2:] - missed.xyxy[0, :2]
    # Cut off rather than rounded: 0.478 below a threshold of 0.48 must not read 0.48.
    seen = 'not seen' if miss.below_threshold is None \
        else f'scored {int(miss.below_threshold * 100) / 100:.2f}'
    # Only what may explain the miss: in a crowd all boxes together would hide it.
    found = shown[miss.image]
    found = found[iou(found.xyxy, missed.xyxy)[:, 0] >= BACKGROUND_IOU]
    return _figure(measured.samples[miss.image].path, missed.xyxy[0], found, missed, names,
                   f'{names[miss.label]}, {width:.0f} x {height:.0f} px: {seen}')


def _figure(path: Path, box: np.ndarray, found: Detections, objects: Detections,
            names: Sequence[str], caption: str) -> Markup:
    small = tile(read_picture(path), box, found, objects, names)
    return figure(image(encode_jpeg(small), caption),
                  html('{}<br><span class="note">{}</span>', caption, path.name))


def _sheet(measured: Measurement, shown: Sequence[Detections], names: Sequence[str]) -> str:
    """Return pairs of truth and detections of pictures drawn by lot, the same ones each time."""
    chosen = np.random.default_rng(0).permutation(len(measured.samples))[:SHEET_PICTURES]
    rgb = {i: read_picture(measured.samples[i].path) for i in sorted(chosen.tolist())}
    aspect = float(np.median([pixels.shape[0] / pixels.shape[1] for pixels in rgb.values()]))
    height = round(SHEET_HALF * min(max(aspect, 0.5), 1.25))
    pairs, captions = [], []
    for i, pixels in rgb.items():
        # Drawn after shrinking, or nobody could read the labels.
        small = fit(pixels, SHEET_HALF, height)
        factor = small.shape[1] / pixels.shape[1]
        objects = as_drawn(measured.truths[i]).scaled(factor)
        found = shown[i].scaled(factor)
        pairs.append(np.concatenate([
            centred(draw_truth(small, objects, names), SHEET_HALF + 4, height),
            centred(draw_detections(small, found, names, objects), SHEET_HALF + 4, height)],
            axis=1))
        captions.append(f'{measured.samples[i].path.name}   objects: {len(objects)}   '
                        f'detections: {len(found)}')
    sheet = contact_sheet(pairs, captions, columns=2, tile_width=pairs[0].shape[1])
    return wide(image(encode_jpeg(sheet),
                      'Images with ground truth on the left and detections on the right'), 760)
