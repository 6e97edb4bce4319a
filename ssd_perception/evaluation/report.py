"""Write an evaluation into a folder: report.html, a page without other files, and report.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from tqdm import tqdm

from ssd_perception.core.boxes import iou
from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.core.format import format_number
from ssd_perception.data.sample import Sample
from ssd_perception.evaluation.accuracy import Accuracy, Measurement
from ssd_perception.evaluation.analysis import IOU, Analysis, Evaluation, SizeFigures
from ssd_perception.evaluation.calibration import Calibration
from ssd_perception.evaluation.coco import SIZES
from ssd_perception.evaluation.corruptions import CORRUPTIONS, CorruptedAccuracy, corrupt
from ssd_perception.evaluation.failures import (
    BACKGROUND_IOU,
    FalseBoxes,
    FalsePositive,
    Miss,
    most_confused,
)
from ssd_perception.evaluation.latency import Latency
from ssd_perception.evaluation.plots import (
    MAX_PANELS,
    calibration_plot,
    confusion_plot,
    precision_recall_plot,
    threshold_plot,
)
from ssd_perception.evaluation.run import MARK
from ssd_perception.evaluation.thresholds import OperatingPoint
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.viz.contact_sheet import centred, contact_sheet, fit
from ssd_perception.viz.drawing import class_colour, draw_detections, draw_truth
from ssd_perception.viz.page import (
    cards,
    document,
    figure,
    heading,
    html,
    image,
    join,
    note,
    swatch,
    table,
    wide,
)
from ssd_perception.viz.tiles import tile

MAX_TILES = 25  # of each kind of failure
SHEET_IMAGES = 12
SHEET_HALF = 290  # px, width of each half of a pair
CORRUPTED_WIDTH = 260  # px
# A matrix of more classes cannot be read; the list of confusions below it remains.
MAX_MATRIX_CLASSES = 40


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
    corrupted = _corrupted_sheet(measured.samples[0]) if evaluation.corruptions else ''
    (folder / 'report.html').write_text(
        _page(title, evaluation, wrong, missed, sheet, corrupted), encoding='utf-8')
    (folder / MARK).write_text(json.dumps(evaluation.to_json(), indent=1) + '\n',
                               encoding='utf-8')


def _false_tile(false: FalsePositive, measured: Measurement, names: Sequence[str]) -> Markup:
    found = measured.detections[false.image][[false.index]]
    caption = f'{names[false.label]} {false.score:.2f}: {false.kind}'
    if false.kind == 'badly placed':
        caption += f', IoU {false.overlap:.2f}'
    return _figure(measured.samples[false.image], found.xyxy[0], found,
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
    return _figure(measured.samples[miss.image], box, found, missed, names,
                   f'{names[miss.label]}, {width:.0f} x {height:.0f} px: {seen}')


def _figure(sample: Sample, box: np.ndarray, found: Detections, objects: GroundTruth,
            names: Sequence[str], caption: str) -> Markup:
    small = tile(sample.image(), box, found, objects, names)
    return figure(image(encode_jpeg(small), caption),
                  html('{}<br><span class="note">{}</span>', caption, sample.path.name))


def _sheet(measured: Measurement, shown: Sequence[Detections], names: Sequence[str]) -> str:
    """Return pairs of ground truth and detections of random images, the same ones each time."""
    chosen = np.random.default_rng(0).permutation(len(measured.samples))[:SHEET_IMAGES]
    rgb = {i: measured.samples[i].image() for i in sorted(chosen.tolist())}
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


def _corrupted_sheet(sample: Sample) -> Markup:
    """Return one image under every corruption and strength, a row for each kind."""
    source = sample.image()
    shown = [(name, unit, strength) for name, (_, unit, strengths) in CORRUPTIONS.items()
             for strength in strengths]
    sheet = contact_sheet([corrupt(source, name, strength, sample.path.name)
                           for name, _, strength in shown],
                          [f'{name}, {unit} {strength:g}' for name, unit, strength in shown],
                          columns=3, tile_width=CORRUPTED_WIDTH)
    return image(encode_jpeg(sheet), 'One image under every corruption')


def _page(title: str, evaluation: Evaluation, false_tiles: Sequence[str],
          miss_tiles: Sequence[str], sheet: str, corrupted: str) -> str:
    """Return the page.

    Args:
        false_tiles, miss_tiles: HTML of the worst failures.
        sheet: HTML of the contact sheet.
        corrupted: HTML of an image under every corruption.
    """
    a = evaluation.analysis
    wrong = [
        heading('Worst false positives'),
        *_tiles(false_tiles, len(a.false_positives), ', '.join(
            f'{count} {kind}' for kind, count in a.false_positive_kinds.items() if count)
            + '. All ground truth is dashed.',
                f'No detection of score {a.threshold:g} or more is wrong.')]
    if evaluation.negatives is not None:  # nothing to find: no curve, no miss, no confusion
        return document(title, [_without_objects(evaluation.negatives),
                                heading('Measured'), _measured(evaluation), *wrong,
                                heading('Latency'), *_latency(evaluation.latency)])
    return document(title, [
        _headline(evaluation), heading('Measured'), _measured(evaluation),
        heading('Classes'), _classes(a), heading('Sizes'), _sizes(a.sizes),
        heading('Precision over recall'), _curves(a),
        html('<div class="beside"><div><h2>Score threshold</h2>{}</div>'
             '<div><h2>Calibration</h2>{}</div></div>',
             threshold_plot(a.over_thresholds, a.threshold, a.best_f1),
             join(_calibration(a.calibration, a.threshold))),
        heading('Confusion'), *_confusion(a), *wrong,
        *_corruptions(evaluation.corruptions, a.accuracy, corrupted),
        heading('Largest misses'),
        *_tiles(miss_tiles, len(a.misses),
                'a score is that of the best detection of its class on it, below the '
                'threshold. The missed object is dashed; a box is a detection that overlaps it.',
                f'Every object is found at score {a.threshold:g}.'),
        heading('Random images'),
        note('Each with its ground truth on the left and with the detections of score '
             f'{a.threshold:g} or more on the right, where the ground truth is dashed.'), sheet,
        heading('Latency'), *_latency(evaluation.latency),
    ])


def _without_objects(counted: FalseBoxes) -> Markup:
    phrase = counted.describe()
    return cards([
        ('false boxes', str(counted.false_boxes), f'at score {counted.score_threshold:g}'),
        ('images with any', str(counted.images_with_false_boxes), f'of {counted.images}'),
        ('highest score', format_number(counted.highest_score), 'of all detections'),
    ]) + html('<p>{}.</p>', phrase[:1].upper() + phrase[1:])


def _headline(evaluation: Evaluation) -> Markup:
    figures, point = evaluation.analysis.accuracy, evaluation.analysis.operating_point
    rows = [('AP50, VOC 2010', format_number(figures.voc10_ap50), 'all points'),
            ('AP50, VOC 2007', format_number(figures.voc07_ap50), '11 points'),
            ('COCO AP', format_number(figures.coco_ap),
             f'AP75 {format_number(figures.coco_ap75)}'),
            ('precision', format_number(point.precision), f'at score {point.threshold:g}'),
            ('recall', format_number(point.recall), f'at score {point.threshold:g}')]
    if total := evaluation.latency.stages.get('total'):
        rows.append(('latency', format_number(total.median_ms, ' ms', 0),
                     f'95 %: {format_number(total.p95_ms, " ms", 0)}'))
    return cards(rows)


def _measured(evaluation: Evaluation) -> Markup:
    figures = evaluation.analysis.accuracy
    rows = [['images', str(figures.images)], ['objects', str(figures.objects)],
            ['difficult objects, ignored', str(figures.difficult)]]
    if evaluation.skipped:
        rows.append(['not decoded, left out',
                     join([str(len(evaluation.skipped)), *evaluation.skipped], '<br>')])
    return table([], rows + [list(row) for row in evaluation.measured.items()], texts=2)


def _classes(a: Analysis) -> Markup:
    at = f'at {a.threshold:g}'
    head = ['class', 'objects', 'VOC10 AP50', 'VOC07 AP50', 'COCO AP', f'precision {at}',
            f'recall {at}', f'F1 {at}', 'best F1', 'at score']
    rows = [_class_row(swatch(class_colour(label)) + name, row.accuracy.objects, (
        row.accuracy.voc10_ap50, row.accuracy.voc07_ap50, row.accuracy.coco_ap),
        row.at_threshold, row.best_f1) for label, (name, row) in enumerate(a.classes.items())]
    rows.append(_class_row(html('<b>all</b>'), a.accuracy.objects, (
        a.accuracy.voc10_ap50, a.accuracy.voc07_ap50, a.accuracy.coco_ap), a.operating_point,
        a.best_f1))
    return table(head, rows) + note(
        'AP of all is the mean over the classes that have objects; precision, recall and F1 of '
        'all count every detection and object alike. A match is one at IoU 0.5. Where nothing is '
        'detected precision is 0.')


def _class_row(name: str, objects: int, aps: tuple[float, float, float], point: OperatingPoint,
               best: OperatingPoint | None) -> list[str]:
    return [name, str(objects), *map(format_number, aps),
            *map(format_number, (point.precision, point.recall, point.f1)),
            *((format_number(best.f1), format_number(best.threshold, digits=2)) if best
              else (format_number(None),) * 2)]


def _sizes(sizes: Mapping[str, SizeFigures]) -> Markup:
    bounds = {name: f'{low ** 0.5:.0f} to {high ** 0.5:.0f} px' if high != float('inf')
              else f'from {low ** 0.5:.0f} px' for name, (low, high) in SIZES.items()}
    return table(['size', 'side', 'objects', 'recall', 'COCO AP'],
                 [[name, bounds[name], str(row.objects), format_number(row.recall),
                   format_number(row.coco_ap)] for name, row in sizes.items()], texts=2) + note(
        "COCO's sizes: the side of a square of the box's area, in pixels of the image as stored. "
        'Recall is at the score threshold and IoU 0.5.')


def _curves(a: Analysis) -> str:
    with_objects = sum(row.accuracy.objects > 0 for row in a.classes.values())
    plot = precision_recall_plot(a.classes)
    if with_objects > MAX_PANELS:
        plot += note(f'The first {MAX_PANELS} of {with_objects} classes.')
    return plot or note('There is no object.')


def _confusion(a: Analysis) -> list[str]:
    names = [*a.classes, 'background']
    parts = []
    if len(a.classes) <= MAX_MATRIX_CLASSES:
        parts.append(confusion_plot(names, a.confusion))
    parts.append(note(
        'Rows are objects, columns what they were detected as. Detections of score '
        f'{a.threshold:g} or more, highest first, each take the free object they overlap most, '
        f'whatever its class, at IoU {IOU:g} or more. The last column counts objects that none '
        'took, the last row detections without an object, second boxes on one object included. '
        'Shades are shares of a row.'))
    wrong = most_confused(a.confusion)
    if wrong:
        parts.append(table(['object', 'detected as', 'times'], [
            [names[t], names[d], str(n)] for t, d, n in wrong], texts=2))
    return parts


def _calibration(calibration: Calibration, threshold: float) -> list[str]:
    whole = format_number(calibration.expected_calibration_error)
    kept = format_number(calibration.expected_calibration_error_at_threshold)
    return [calibration_plot(calibration, threshold),
            note('A score of 0.8 should mean right in 8 of 10 cases. Expected calibration error: '
                 f'{kept} over detections of score {threshold:g} or more, {whole} over all.')]


def _corruptions(rows: Sequence[CorruptedAccuracy] | None, whole: Accuracy,
                 sheet: str) -> list[str]:
    if not rows:
        return []
    cells = [['none', '', format_number(whole.voc10_ap50), format_number(whole.coco_ap), '']]
    for row in rows:
        fall = row.coco_ap - whole.coco_ap
        cells.append([row.corruption, f'{row.unit} {row.strength:g}',
                      format_number(row.voc10_ap50), format_number(row.coco_ap),
                      '–' if fall != fall else f'{fall:+.3f}'])
    return [heading('Under corruption'),
            table(['corruption', 'strength', 'AP50 (VOC 2010)', 'COCO AP', 'change'], cells, 2),
            note('Lengths are those in an image 640 px wide. Below, the first image under each.'),
            sheet]


def _tiles(tiles: Sequence[str], count: int, what: str, none: str) -> list[str]:
    if not tiles:
        return [note(none)]
    shown = f'{len(tiles)} of {count}' if len(tiles) < count else f'All {count}'
    return [note(f'{shown}; {what}'), html('<div class="tiles">{}</div>', join(tiles))]


def _latency(latency: Latency) -> list[str]:
    if not latency.stages:
        return [note('Not measured.')]
    on = latency.conditions
    threads = f', threads: {on.threads}' if on.threads else ''
    return [table(['stage', 'median', '95 %'],
                  [[stage, format_number(row.median_ms, ' ms', 1),
                    format_number(row.p95_ms, ' ms', 1)]
                   for stage, row in latency.stages.items()]),
            note('Taken during this evaluation, without reading the images, with '
                 f'{on.batch_size} image at a time: {on.runtime} {on.precision} on '
                 f'{on.device}{threads}; {on.processor}, {on.cores} cores. Other work on '
                 'the machine counts into it, and the threshold of 0.01 that AP is measured at '
                 "makes postprocessing slower than at a robot's threshold.")]
