"""Plots of a run: the learning rate that is planned, and what came of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.training.recipe import Recipe
from ssd_perception.training.schedule import schedule_of


def plot_schedule(recipe: Recipe, path: Path) -> None:
    """Draw the three phases of the planned learning rate, and where mosaic ends."""
    schedule = schedule_of(recipe)
    steps = np.unique(np.linspace(0, recipe.iterations - 1, 1000).astype(int))
    factors = np.array([schedule(int(step)) for step in steps])
    figure = Figure(figsize=(8, 3.2), layout='constrained')
    axes = figure.add_subplot()
    groups = {'all layers': 1.0} if recipe.backbone_rate == 1 else {
        'pyramid and heads': 1.0, 'backbone': recipe.backbone_rate}
    for name, rate in groups.items():
        axes.plot(steps, factors * recipe.learning_rate * rate, label=name)
    ends = {'warm-up ends': schedule.warmup, 'plateau ends': schedule.decay_start}
    if recipe.augmentation.mosaic:
        ends['mosaic ends'] = recipe.iterations * (1 - recipe.augmentation.mosaic_off)
    for place, (name, step) in enumerate(ends.items()):
        axes.axvline(step, color='grey', linewidth=0.8, linestyle=':')
        axes.annotate(name, (step, 0), xytext=(3, 4 + 11 * place), textcoords='offset points',
                      fontsize=8, color='dimgrey')
    axes.set(xlabel='iteration', ylabel='learning rate', title='Planned learning rate')
    axes.set_ylim(bottom=0)
    axes.legend(loc='upper right')
    _save(figure, path)


@rc_context({'text.parse_math': False})  # a data set's name with a $ is no formula
def plot_curves(rows: list[dict], path: Path) -> None:
    """Draw loss parts and learning rate per iteration, and accuracy where it was measured."""
    steps = [row for row in rows if 'validation' not in row]
    measured = [row for row in rows if 'validation' in row]
    figure = Figure(figsize=(9, 7.5), layout='constrained')
    losses, rates, accuracy = figure.subplots(3, 1, sharex=True,
                                              gridspec_kw={'height_ratios': (3, 1, 3)})
    x = np.array([row['iteration'] for row in steps])
    for key, name in (('classes', 'focal'), ('boxes', 'boxes')):
        values = np.array([row[key] for row in steps])
        line, = losses.plot(x, values, linewidth=0.5, alpha=0.35)
        losses.plot(x, _smooth(values), color=line.get_color(), label=name)
    losses.set(ylabel='loss per positive', title='Loss (thick: averaged over the steps around)')
    rates.plot(x, [row['learning_rate'] for row in steps])
    rates.set(ylabel='learning rate')
    for name in measured[-1]['validation'] if measured else ():
        for key, style in (('voc10_ap50', '-o'), ('coco_ap', '--s')):
            points = [(row['iteration'], row['validation'][name][key]) for row in measured
                      if row['validation'].get(name, {}).get(key) is not None]
            if points:
                axis, reached = zip(*points)
                accuracy.plot(axis, reached, style, markersize=4,
                              label=f'{name}: {_NAMES[key]} (best {max(reached):.3f})')
    accuracy.set(xlabel='iteration', ylabel='average precision', ylim=(0, 1.02),
                 title='Accuracy of the averaged weights')
    for axes in (losses, accuracy):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    _save(figure, path)


_NAMES = {'voc10_ap50': 'AP50 (VOC10)', 'coco_ap': 'COCO AP'}


def _smooth(values: np.ndarray) -> np.ndarray:
    """Average over a window of a fiftieth of the run, narrower at its ends."""
    width = max(1, len(values) // 50)
    weights = np.ones(2 * width + 1)
    counts = np.convolve(np.ones(len(values)), weights, 'full')[width:width + len(values)]
    return np.convolve(values, weights, 'full')[width:width + len(values)] / counts


def _save(figure: Figure, path: Path) -> None:
    data = io.BytesIO()
    figure.savefig(data, format='png', dpi=110)
    atomic_write(path, data.getbuffer())
