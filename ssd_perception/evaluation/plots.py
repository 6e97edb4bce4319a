"""Plots of an evaluation's figures as SVG for a page, light or dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ssd_perception.evaluation.analysis import ClassAnalysis
from ssd_perception.evaluation.calibration import Calibration
from ssd_perception.evaluation.thresholds import OperatingPoint
from ssd_perception.evaluation.voc import Curve
from ssd_perception.viz.plot_style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    STYLE,
    line_colour,
    svg,
)

PANELS_PER_ROW = 4
MAX_PANELS = 40


def precision_recall_plot(classes: Mapping[str, ClassAnalysis]) -> str:
    """Return one panel per class with objects: its curves at IoU 0.5 and 0.75.

    Args:
        classes: of ``analysis.Analysis``; the first ``MAX_PANELS`` with objects are shown, each
            with its operating point on the curve.
    """
    shown = [(label, name, row) for label, (name, row) in enumerate(classes.items())
             if row.accuracy.objects][:MAX_PANELS]
    if not shown:
        return ''
    columns = min(PANELS_PER_ROW, len(shown))
    rows = -(-len(shown) // columns)
    with rc_context(STYLE):
        figure = Figure(figsize=(2.9 * columns + 0.4, 2.5 * rows + 0.3), layout='constrained')
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for place, panel in enumerate(axes.flat):
            if place >= len(shown):
                panel.set_visible(False)
                continue
            label, name, row = shown[place]
            colour = line_colour(label)
            _line(panel, row.curve, colour, '-')
            _line(panel, row.strict_curve, colour, '--')
            point = row.at_threshold
            panel.plot(point.recall, point.precision, 'o', color=INK, markersize=5, clip_on=False)
            panel.set(title=name, xlim=(0, 1), ylim=(0, 1.02))
        for panel in axes[-1]:
            panel.set_xlabel('recall')
        for panel in axes[:, 0]:
            panel.set_ylabel('precision')
        figure.legend(handles=[
            Line2D([], [], color=GREY, linestyle='-', label='IoU 0.50'),
            Line2D([], [], color=GREY, linestyle='--', label='IoU 0.75'),
            Line2D([], [], color=INK, linestyle='', marker='o', markersize=5,
                   label=f'score {shown[0][2].at_threshold.threshold:g}')],
            loc='outside lower left', ncols=3)
        return svg(figure, 'Precision over recall of each class')


def _line(panel: Axes, curve: Curve, colour: tuple[float, float, float], style: str) -> None:
    if len(curve.recall):  # the curve begins where its first detection is
        panel.plot([0, *curve.recall], [curve.precision[0], *curve.precision], style,
                   color=colour, linewidth=1.6)


def threshold_plot(over: Sequence[OperatingPoint], threshold: float,
                   best: OperatingPoint | None) -> str:
    """Return precision, recall and F1 over the score threshold.

    Args:
        over: in ascending order of the threshold.
        threshold, best: are marked.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.8), layout='constrained')
        panel = figure.subplots()
        for key, colour, style in (('precision', BLUE, '-'), ('recall', ORANGE, '--'),
                                   ('f1', GREEN, '-.')):
            panel.plot([at.threshold for at in over], [getattr(at, key) for at in over], style,
                       color=colour, linewidth=1.8, label='F1' if key == 'f1' else key)
        panel.axvline(threshold, color=INK, linewidth=1, label=f'threshold {threshold:g}')
        if best:
            panel.plot(best.threshold, best.f1, 'o', color=GREEN, markersize=6,
                       label=f'best F1 {best.f1:.3f} at {best.threshold:g}')
        panel.set(xlim=(0, 1), ylim=(0, 1.02), xlabel='score threshold')
        figure.legend(loc='outside lower left', ncols=3)
        return svg(figure, 'Precision, recall and F1 over the score threshold')


def calibration_plot(calibration: Calibration, threshold: float) -> str:
    """Return precision over mean score in bins, and how many detections each bin has."""
    bins = [row for row in calibration.bins if row.count]
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.8), layout='constrained')
        panel, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        panel.plot([0, 1], [0, 1], ':', color=GREY, label='as sure as right')
        panel.plot([row.mean_score for row in bins], [row.precision for row in bins], 'o-',
                   color=BLUE, label='precision at IoU 0.5', linewidth=1.8)
        panel.axvline(threshold, color=INK, linewidth=1, label=f'threshold {threshold:g}')
        panel.set(xlim=(0, 1), ylim=(0, 1.02), ylabel='precision')
        figure.legend(loc='outside lower left', ncols=3)
        for row in bins:
            middle = (row.low + row.high) / 2
            below.bar(middle, row.count, 0.09, color=BLUE, alpha=0.6)
            below.annotate(str(row.count), (middle, row.count), (0, 1),
                           textcoords='offset points', ha='center', fontsize=7)
        below.set(xlabel='score', ylabel='detections', yscale='log', ylim=(0.8, None))
        below.yaxis.set_major_formatter('{x:.0f}')
        below.margins(y=0.25)
        below.grid(False)
        below.minorticks_off()
        return svg(figure, 'Precision over score, and the number of detections')


def confusion_plot(names: Sequence[str], matrix: np.ndarray) -> str:
    """Return the confusion matrix; shades are shares of a row, numbers are counts.

    Args:
        names: of the rows and columns, ``background`` last.
        matrix: int (n, n).
    """
    share = matrix / np.maximum(1, matrix.sum(1, keepdims=True))
    n = len(names)
    side = max(3.2, 0.42 * n) + 1.3
    with rc_context({**STYLE, 'axes.grid': False, 'axes.spines.left': False,
                     'axes.spines.bottom': False}):
        figure = Figure(figsize=(side, side), layout='constrained')
        panel = figure.subplots()
        for row, column in zip(*np.nonzero(matrix)):
            colour = BLUE if row == column else ORANGE
            panel.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=colour,
                                      alpha=0.08 + 0.55 * share[row, column], linewidth=0))
            panel.text(column, row, str(matrix[row, column]), ha='center', va='center',
                       fontsize=10 if n <= 8 else 7.5)
        panel.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), xlabel='detected as',
                  ylabel='object', aspect='equal')
        panel.set_xticks(range(n), [*names[:-1], f'{names[-1]}\n(missed)'],
                         rotation=0 if n <= 5 else 90)
        panel.set_yticks(range(n), [*names[:-1], f'{names[-1]}\n(false)'])
        panel.set_xticks(np.arange(n + 1) - 0.5, minor=True)
        panel.set_yticks(np.arange(n + 1) - 0.5, minor=True)
        panel.grid(True, which='minor', linewidth=0.6)
        panel.tick_params(length=0, which='both')
        return svg(figure, 'Confusion matrix')
