"""The pictures of a model card: how it was trained, how sure it is, and where it fails."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.evaluation.analysis import Analysis
from ssd_perception.evaluation.evaluate import Measurement
from ssd_perception.evaluation.plots import calibration_plot, precision_recall_plot, threshold_plot
from ssd_perception.imaging.files import read_picture
from ssd_perception.viz.contact_sheet import contact_sheet
from ssd_perception.viz.tiles import as_drawn, tile

FAILURES = 8  # of each kind
INK = '#5c6470'  # shows on white pages and on black ones; an image cannot take the page's colour


def write_plots(folder: Path, figures: dict) -> None:
    """Write ``precision_recall.svg``, ``thresholds.svg`` and ``calibration.svg``.

    Args:
        figures: of ``evaluation.analysis``, at the default threshold.
    """
    point = figures['operating_point']
    threshold = point['score_threshold']
    for name, text in (
            ('precision_recall', precision_recall_plot(figures['pr_curves'],
                                                       figures['per_class'], point)),
            ('thresholds', threshold_plot(figures['over_thresholds'], threshold,
                                          figures['best_f1'])),
            ('calibration', calibration_plot(figures['calibration'], threshold))):
        text = text.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"', 1)
        (folder / f'{name}.svg').write_text(text.replace('currentColor', INK) + '\n')


def copy_curves(folder: Path, weights: Path) -> bool:
    """Copy the training curves that lie beside ``weights`` in the folder of its run, if any."""
    source = weights.parent / 'curves.png'
    if source.is_file():
        shutil.copyfile(source, folder / source.name)
    return source.is_file()


def write_failures(path: Path, measured: Measurement, analysis: Analysis,
                   class_names: Sequence[str]) -> None:
    """Write one sheet: the false positives of highest score, then the largest misses.

    Only of pictures that may be shown: they become part of what is published.
    """
    threshold = analysis.figures['operating_point']['score_threshold']
    images, captions = [], []
    for false in analysis.false_positives[:FAILURES]:
        found = measured.detections[false.image][[false.index]]
        images.append(tile(read_picture(measured.samples[false.image].path), found.xyxy[0], found,
                           as_drawn(measured.truths[false.image]), class_names))
        captions.append(f'{class_names[false.label]} {false.score:.2f}: {false.kind}')
    for miss in analysis.misses[:FAILURES]:
        missed = as_drawn(measured.truths[miss.image])[[miss.index]]
        found = measured.detections[miss.image]
        images.append(tile(read_picture(measured.samples[miss.image].path), missed.xyxy[0],
                           found[found.scores >= threshold], missed, class_names))
        captions.append(f'missed {class_names[miss.label]}')
    if not images:
        path.unlink(missing_ok=True)  # an older sheet would show failures that are mended
        return
    sheet = contact_sheet(images, captions, columns=4, tile_width=230)
    data = cv2.imencode(path.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR),
                        [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    atomic_write(path, data.tobytes())
