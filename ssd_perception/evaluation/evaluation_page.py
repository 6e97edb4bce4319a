"""One self-contained HTML page about an evaluation; made from its figures and pictures only."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

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
from ssd_perception.viz.page import cards, document, format_number, swatch, table

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
        '<h2>Worst false positives</h2>',
        *_tiles(false_tiles, sum(figures['false_positives'].values()), ', '.join(
            f'{count} {kind}' for kind, count in figures['false_positives'].items() if count)
            + '. All ground truth is dashed.',
                f'No detection of score {threshold:g} or more is wrong.')]
    if 'negatives' in figures:  # nothing to find: no curve, no miss, no confusion
        return document(title, [_without_objects(figures['negatives']),
                                '<h2>Measured</h2>', _measured(figures), *wrong,
                                '<h2>Latency</h2>', *_latency(figures.get('latency'))])
    return document(title, [
        _headline(figures), '<h2>Measured</h2>', _measured(figures),
        '<h2>Classes</h2>', _classes(figures),
        '<h2>Sizes</h2>', _sizes(figures['sizes']),
        '<h2>Precision over recall</h2>', _curves(figures),
        '<div class="beside"><div><h2>Score threshold</h2>',
        threshold_plot(figures['over_thresholds'], threshold, figures['best_f1']),
        '</div><div><h2>Calibration</h2>', *_calibration(figures['calibration'], threshold),
        '</div></div>',
        '<h2>Confusion</h2>', *_confusion(figures['confusion']), *wrong,
        *corruption_table(figures.get('corruptions', ()), figures, faults),
        '<h2>Largest misses</h2>',
        *_tiles(miss_tiles, figures['misses'],
                'a score is that of the best detection of its class on it, below the '
                'threshold. The missed object is dashed; a box is a detection that overlaps it.',
                f'Every object is found at score {threshold:g}.'),
        '<h2>Pictures drawn by lot</h2>',
        '<p class="note">Each with its ground truth on the left and with the detections of '
        f'score {threshold:g} or more on the right, where the truth is dashed.</p>', sheet,
        '<h2>Latency</h2>', *_latency(figures.get('latency')),
    ])


def _without_objects(counted: dict) -> str:
    return cards([
        ('false boxes', str(counted['false_boxes']), f'at score {counted["score_threshold"]:g}'),
        ('pictures with any', str(counted['images_with_false_boxes']),
         f'of {counted["images"]}'),
        ('highest score', format_number(counted['highest_score']), 'of all detections'),
    ]) + f'<p>{escape(_capitalised(describe_false_boxes(counted)))}.</p>'


def _headline(f: dict) -> str:
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


def _measured(f: dict) -> str:
    rows = [['pictures', str(f['images'])], ['objects', str(f['objects'])],
            ['difficult objects, ignored', str(f['difficult'])]]
    if f.get('skipped'):
        names = ''.join(f'<br>{escape(name)}' for name in f['skipped'])
        rows.append(['not decoded, left out', f'{len(f["skipped"])}{names}'])
    rows += [[escape(name), escape(str(value))] for name, value in f.get('measured', {}).items()]
    return table([], rows, texts=2)


def _classes(f: dict) -> str:
    threshold = f['operating_point']['score_threshold']
    head = ['class', 'objects', 'VOC10 AP50', 'VOC07 AP50', 'COCO AP',
            f'precision at {threshold:g}', f'recall at {threshold:g}', f'F1 at {threshold:g}',
            'best F1', 'at score']
    rows = []
    for label, (name, row) in enumerate(f['per_class'].items()):
        point, best = row['at_threshold'], row['best_f1'] or {}
        rows.append([swatch(class_colour(label)) + escape(name), str(row['objects']),
                     format_number(row['voc10_ap50']), format_number(row['voc07_ap50']),
                     format_number(row['coco_ap']),
                     *(format_number(point[key]) for key in ('precision', 'recall', 'f1')),
                     format_number(best.get('f1')), format_number(best.get('threshold'),
                                                                  digits=2)])
    point, best = f['operating_point'], f['best_f1'] or {}
    rows.append(['<b>all</b>', str(f['objects']), format_number(f['voc10_ap50']),
                 format_number(f['voc07_ap50']),
                 format_number(f['coco_ap']),
                 *(format_number(point[key]) for key in ('precision', 'recall', 'f1')),
                 format_number(best.get('f1')), format_number(best.get('threshold'), digits=2)])
    return table(head, rows) + (
        '<p class="note">AP of all is the mean over the classes that have objects; precision, '
        'recall and F1 of all count every detection and object alike. A match is one at IoU '
        '0.5. Where nothing is detected precision is 0.</p>')


def _sizes(sizes: dict) -> str:
    bounds = {name: f'{low ** 0.5:.0f} to {high ** 0.5:.0f} px' if high != float('inf')
              else f'from {low ** 0.5:.0f} px' for name, (low, high) in SIZES.items()}
    return table(['size', 'side', 'objects', 'recall', 'COCO AP'],
                 [[name, bounds[name], str(row['objects']), format_number(row['recall']),
                   format_number(row['coco_ap'])] for name, row in sizes.items()], texts=2) + (
        "<p class=\"note\">COCO's sizes: the side of a square of the box's area, in pixels of "
        'the picture as stored. Recall is at the score threshold and IoU 0.5.</p>')


def _curves(f: dict) -> str:
    with_objects = sum(row['objects'] > 0 for row in f['per_class'].values())
    plot = precision_recall_plot(f['pr_curves'], f['per_class'], f['operating_point'])
    if with_objects > MAX_PANELS:
        plot += f'<p class="note">The first {MAX_PANELS} of {with_objects} classes.</p>'
    return plot or '<p class="note">There is no object.</p>'


def _confusion(confusion: dict) -> list[str]:
    names, counts = confusion['names'], confusion['counts']
    parts = []
    if len(names) - 1 <= MAX_MATRIX_CLASSES:
        parts.append(confusion_plot(names, counts))
    parts.append(
        '<p class="note">Rows are objects, columns what they were detected as. Detections of '
        f'score {confusion["score_threshold"]:g} or more, highest first, each take the free '
        'object they overlap most, whatever its class, at IoU '
        f'{confusion["iou_threshold"]:g} or more. The last column counts objects that none '
        'took, the last row detections without an object, second boxes on one object included. '
        'Shades are shares of a row.</p>')
    wrong = most_confused(np.asarray(counts))
    if wrong:
        parts.append(table(['object', 'detected as', 'times'], [
            [escape(names[t]), escape(names[d]), str(n)] for t, d, n in wrong], texts=2))
    return parts


def _calibration(calibration: dict, threshold: float) -> list[str]:
    whole = format_number(calibration['expected_calibration_error'])
    shown = format_number(calibration['expected_calibration_error_at_threshold'])
    return [calibration_plot(calibration, threshold),
            '<p class="note">A score of 0.8 should mean right in 8 of 10 cases. Expected '
            f'calibration error: {shown} over detections of score {threshold:g} or more, {whole} '
            'over all.</p>']


def _tiles(tiles: Sequence[str], count: int, what: str, none: str) -> list[str]:
    if not tiles:
        return [f'<p class="note">{none}</p>']
    shown = f'{len(tiles)} of {count}' if len(tiles) < count else f'All {count}'
    return [f'<p class="note">{shown}; {what}</p>',
            f'<div class="tiles">{"".join(tiles)}</div>']


def _latency(latency: dict | None) -> list[str]:
    if not latency:
        return ['<p class="note">Not measured.</p>']
    on = latency['conditions']
    threads = f', threads: {on["threads"]}' if on['threads'] else ''
    return [table(['stage', 'median', '95 %'],
                  [[escape(stage), format_number(row['median_ms'], ' ms', 1),
                    format_number(row['p95_ms'], ' ms', 1)]
                   for stage, row in latency['stages'].items()]),
            '<p class="note">Taken during this evaluation, without reading the pictures, with '
            f'{on["batch_size"]} picture at a time: {escape(on["runtime"])} {on["precision"]} on '
            f'{escape(on["device"])}{threads}; {escape(on["processor"])}, {on["cores"]} cores. '
            'Other work on the machine counts into it, and the threshold of 0.01 that AP is '
            "measured at makes postprocessing slower than at a robot's threshold.</p>"]


def _capitalised(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]
