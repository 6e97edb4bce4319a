"""One self-contained HTML page about an evaluation; made from its figures and pictures only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from ssd_perception.evaluation.coco import SIZES
from ssd_perception.evaluation.confusion import most_confused
from ssd_perception.evaluation.corruption_table import corruption_table
from ssd_perception.evaluation.negatives import describe_false_boxes
from ssd_perception.evaluation.plots import (
    MAX_PANELS,
    calibration_plot,
    confusion_plot,
    precision_recall_plot,
    threshold_plot,
)
from ssd_perception.viz.drawing import class_colour
from ssd_perception.viz.page import (
    cards,
    document,
    format_number,
    heading,
    html,
    join,
    note,
    swatch,
    table,
)

# A matrix of more classes is no picture any more; the list of confusions below it remains.
MAX_MATRIX_CLASSES = 40


def evaluation_page(title: str, figures: dict, false_tiles: Sequence[str],
                    miss_tiles: Sequence[str], sheet: str, faults: str = '') -> str:
    """Return the page.

    Args:
        figures: of ``evaluation.analysis``, with ``latency`` and ``measured`` (what was measured
            on what) added where known.
        false_tiles, miss_tiles: HTML of the worst failures.
        sheet: HTML of the contact sheet.
        faults: HTML of a picture under every corruption.
    """
    threshold = figures['operating_point']['score_threshold']
    wrong = [
        heading('Worst false positives'),
        *_tiles(false_tiles, sum(figures['false_positives'].values()), ', '.join(
            f'{count} {kind}' for kind, count in figures['false_positives'].items() if count)
            + '. All ground truth is dashed.',
                f'No detection of score {threshold:g} or more is wrong.')]
    if 'negatives' in figures:  # nothing to find: no curve, no miss, no confusion
        return document(title, [_without_objects(figures['negatives']),
                                heading('Measured'), _measured(figures), *wrong,
                                heading('Latency'), *_latency(figures.get('latency'))])
    return document(title, [
        _headline(figures), heading('Measured'), _measured(figures),
        heading('Classes'), _classes(figures),
        heading('Sizes'), _sizes(figures['sizes']),
        heading('Precision over recall'), _curves(figures),
        html('<div class="beside"><div><h2>Score threshold</h2>{}</div>'
             '<div><h2>Calibration</h2>{}</div></div>',
             threshold_plot(figures['over_thresholds'], threshold, figures['best_f1']),
             join(_calibration(figures['calibration'], threshold))),
        heading('Confusion'), *_confusion(figures['confusion']), *wrong,
        *corruption_table(figures.get('corruptions', ()), figures, faults),
        heading('Largest misses'),
        *_tiles(miss_tiles, figures['misses'],
                'a score is that of the best detection of its class on it, below the '
                'threshold. The missed object is dashed; a box is a detection that overlaps it.',
                f'Every object is found at score {threshold:g}.'),
        heading('Pictures drawn by lot'),
        note('Each with its ground truth on the left and with the detections of '
             f'score {threshold:g} or more on the right, where the truth is dashed.'), sheet,
        heading('Latency'), *_latency(figures.get('latency')),
    ])


def _without_objects(counted: dict) -> Markup:
    return cards([
        ('false boxes', str(counted['false_boxes']), f'at score {counted["score_threshold"]:g}'),
        ('pictures with any', str(counted['images_with_false_boxes']),
         f'of {counted["images"]}'),
        ('highest score', format_number(counted['highest_score']), 'of all detections'),
    ]) + html('<p>{}.</p>', _capitalised(describe_false_boxes(counted)))


def _headline(f: dict) -> Markup:
    point = f['operating_point']
    rows = [('AP50, VOC 2010', format_number(f['voc10_ap50']), 'all points'),
            ('AP50, VOC 2007', format_number(f['voc07_ap50']), '11 points'),
            ('COCO AP', format_number(f['coco_ap']), f'AP75 {format_number(f["coco_ap75"])}'),
            ('precision', format_number(point['precision']),
             f'at score {point["score_threshold"]:g}'),
            ('recall', format_number(point['recall']), f'at score {point["score_threshold"]:g}')]
    total = f.get('latency', {}).get('stages', {}).get('total')
    if total:
        rows.append(('latency', format_number(total['median_ms'], ' ms', 0),
                     f'95 %: {format_number(total["p95_ms"], " ms", 0)}'))
    return cards(rows)


def _measured(f: dict) -> Markup:
    rows = [['pictures', str(f['images'])], ['objects', str(f['objects'])],
            ['difficult objects, ignored', str(f['difficult'])]]
    if f.get('skipped'):
        rows.append(['not decoded, left out',
                     join([str(len(f['skipped'])), *f['skipped']], '<br>')])
    rows += [[name, str(value)] for name, value in f.get('measured', {}).items()]
    return table([], rows, texts=2)


def _classes(f: dict) -> Markup:
    threshold = f['operating_point']['score_threshold']
    head = ['class', 'objects', 'VOC10 AP50', 'VOC07 AP50', 'COCO AP',
            f'precision at {threshold:g}', f'recall at {threshold:g}', f'F1 at {threshold:g}',
            'best F1', 'at score']
    rows = []
    for label, (name, row) in enumerate(f['per_class'].items()):
        point, best = row['at_threshold'], row['best_f1'] or {}
        rows.append([swatch(class_colour(label)) + name, str(row['objects']),
                     format_number(row['voc10_ap50']), format_number(row['voc07_ap50']),
                     format_number(row['coco_ap']),
                     *(format_number(point[key]) for key in ('precision', 'recall', 'f1')),
                     format_number(best.get('f1')), format_number(best.get('threshold'),
                                                                  digits=2)])
    point, best = f['operating_point'], f['best_f1'] or {}
    rows.append([html('<b>all</b>'), str(f['objects']), format_number(f['voc10_ap50']),
                 format_number(f['voc07_ap50']),
                 format_number(f['coco_ap']),
                 *(format_number(point[key]) for key in ('precision', 'recall', 'f1')),
                 format_number(best.get('f1')), format_number(best.get('threshold'), digits=2)])
    return table(head, rows) + note(
        'AP of all is the mean over the classes that have objects; precision, recall and F1 of '
        'all count every detection and object alike. A match is one at IoU 0.5. Where nothing is '
        'detected precision is 0.')


def _sizes(sizes: dict) -> Markup:
    bounds = {name: f'{low ** 0.5:.0f} to {high ** 0.5:.0f} px' if high != float('inf')
              else f'from {low ** 0.5:.0f} px' for name, (low, high) in SIZES.items()}
    return table(['size', 'side', 'objects', 'recall', 'COCO AP'],
                 [[name, bounds[name], str(row['objects']), format_number(row['recall']),
                   format_number(row['coco_ap'])] for name, row in sizes.items()], texts=2) + note(
        "COCO's sizes: the side of a square of the box's area, in pixels of the image as stored. "
        'Recall is at the score threshold and IoU 0.5.')


def _curves(f: dict) -> str:
    with_objects = sum(row['objects'] > 0 for row in f['per_class'].values())
    plot = precision_recall_plot(f['pr_curves'], f['per_class'], f['operating_point'])
    if with_objects > MAX_PANELS:
        plot += note(f'The first {MAX_PANELS} of {with_objects} classes.')
    return plot or note('There is no object.')


def _confusion(confusion: dict) -> list[str]:
    names, counts = confusion['names'], confusion['counts']
    parts = []
    if len(names) - 1 <= MAX_MATRIX_CLASSES:
        parts.append(confusion_plot(names, counts))
    parts.append(
        note('Rows are objects, columns what they were detected as. Detections of '
        f'score {confusion["score_threshold"]:g} or more, highest first, each take the free '
        'object they overlap most, whatever its class, at IoU '
        f'{confusion["iou_threshold"]:g} or more. The last column counts objects that none '
        'took, the last row detections without an object, second boxes on one object included. '
        'Shades are shares of a row.'))
    wrong = most_confused(np.asarray(counts))
    if wrong:
        parts.append(table(['object', 'detected as', 'times'], [
            [names[t], names[d], str(n)] for t, d, n in wrong], texts=2))
    return parts


def _calibration(calibration: dict, threshold: float) -> list[str]:
    whole = format_number(calibration['expected_calibration_error'])
    shown = format_number(calibration['expected_calibration_error_at_threshold'])
    return [calibration_plot(calibration, threshold),
            note('A score of 0.8 should mean right in 8 of 10 cases. Expected calibration error: '
                 f'{shown} over detections of score {threshold:g} or more, {whole} over all.')]


def _tiles(tiles: Sequence[str], count: int, what: str, none: str) -> list[str]:
    if not tiles:
        return [note(none)]
    shown = f'{len(tiles)} of {count}' if len(tiles) < count else f'All {count}'
    return [note(f'{shown}; {what}'), html('<div class="tiles">{}</div>', join(tiles))]


def _latency(latency: dict | None) -> list[str]:
    if not latency:
        return [note('Not measured.')]
    on = latency['conditions']
    threads = f', threads: {on["threads"]}' if on['threads'] else ''
    return [table(['stage', 'median', '95 %'],
                  [[stage, format_number(row['median_ms'], ' ms', 1),
                    format_number(row['p95_ms'], ' ms', 1)]
                   for stage, row in latency['stages'].items()]),
            note('Taken during this evaluation, without reading the images, with '
                 f'{on["batch_size"]} image at a time: {on["runtime"]} {on["precision"]} on '
                 f'{on["device"]}{threads}; {on["processor"]}, {on["cores"]} cores. Other work on '
                 'the machine counts into it, and the threshold of 0.01 that AP is measured at '
                 "makes postprocessing slower than at a robot's threshold.")]


def _capitalised(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]
