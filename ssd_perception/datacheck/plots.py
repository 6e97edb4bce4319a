"""Plots of a data set: class balance, box sizes beside the anchors, anchor coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ssd_perception.core.metadata import Architecture
from ssd_perception.data.anchor_fit import ENOUGH, MATCH_IOU, Coverage
from ssd_perception.datacheck.checks import Split
from ssd_perception.viz.plot_style import BLUE, GREEN, GREY, INK, ORANGE, STYLE, svg

MAX_CLASSES = 100
MAX_POINTS, FEW_POINTS = 5000, 500
_COLOURS = (BLUE, ORANGE, GREEN, GREY)


def balance_plot(splits: Sequence[Split], class_names: Sequence[str]) -> str:
    """Return the number of objects of each class in each split, as bars side by side."""
    counts = [Counter(name for s in split.samples for name in s.names) for split in splits]
    total = sum(counts, Counter())
    shown = sorted(class_names, key=lambda name: -total[name])[:MAX_CLASSES]
    if not shown or not splits:
        return ''
    height = 0.8 / len(splits)
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, max(2.4, 0.15 * len(shown) * max(1.5, len(splits)) + 1)),
                        layout='constrained')
        panel = figure.subplots()
        for i, (split, count) in enumerate(zip(splits, counts)):
            values = [count[name] for name in shown]
            bars = panel.barh(np.arange(len(shown)) + (i - (len(splits) - 1) / 2) * height, values,
                              height * 0.92, color=_COLOURS[i % len(_COLOURS)], label=split.label)
            panel.bar_label(bars, padding=3, fontsize=7)
        panel.set_yticks(range(len(shown)), shown)
        panel.set(ylim=(len(shown) - 0.5, -0.5), xlabel='objects')
        panel.margins(x=0.12)
        panel.grid(False, axis='y')
        figure.legend(loc='outside lower left', ncols=2)
        return svg(figure, 'Objects of each class in each split')


def size_plot(placed: dict[str, np.ndarray], architecture: Architecture) -> str:
    """Return box widths and heights in network-input px, with every anchor's size marked."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 4.6), layout='constrained')
        panel = figure.subplots()
        rng = np.random.default_rng(0)
        for i, (label, boxes) in enumerate(placed.items()):
            if len(boxes) > MAX_POINTS:
                boxes = boxes[rng.choice(len(boxes), MAX_POINTS, replace=False)]
            sides = boxes[:, 2:] - boxes[:, :2]
            few = len(boxes) < FEW_POINTS  # drawn larger, to be visible
            panel.plot(sides[:, 0], sides[:, 1], '.', color=_COLOURS[i % len(_COLOURS)],
                       markersize=7 if few else 4, alpha=0.8 if few else 0.45, markeredgewidth=0,
                       label=label, rasterized=not few)
        spec = architecture.anchors
        sides = np.array([(spec.base_scale * stride * octave / ratio ** 0.5,
                           spec.base_scale * stride * octave * ratio ** 0.5)
                          for stride in architecture.strides for octave in spec.octave_scales
                          for ratio in spec.aspect_ratios])
        panel.plot(sides[:, 0], sides[:, 1], '+', color=INK, markersize=6, label='anchors')
        height, width = architecture.input_hw
        panel.set(xscale='log', yscale='log', xlabel="width, px at the network's input",
                  ylabel='height, px', title=f'Box sizes at {width}x{height}')
        ticks = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_ticks(ticks, [str(tick) for tick in ticks])
            axis.set_ticks([], minor=True)
        top = 1.6 * max(width, height, sides.max())
        panel.set(xlim=(2, top), ylim=(2, top))
        legend = figure.legend(loc='outside lower left', ncols=3, markerscale=2)
        for handle in filter(None, legend.legend_handles):
            handle.set_alpha(1)
        return svg(figure, 'Widths and heights of boxes and anchors')


def coverage_plot(coverage: dict[str, Coverage], placed: dict[str, np.ndarray]) -> str:
    """Return the histogram of best IoUs, and the share covered over the objects' size."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.6, 4.6), layout='constrained')
        panel, below = figure.subplots(2, 1)
        edges = np.linspace(0, 1, 41)
        for i, (label, found) in enumerate(coverage.items()):
            if found.covered is None:
                continue
            colour = _COLOURS[i % len(_COLOURS)]
            panel.hist(found.best_iou, edges, weights=np.full(
                len(found.best_iou), 1 / len(found.best_iou)), histtype='step', linewidth=1.6,
                color=colour, label=f'{label}: {found.covered:.1%} covered')
            sides = placed[label][:, 2:] - placed[label][:, :2]
            size = np.log2(np.sqrt(sides.prod(1)))
            steps = np.arange(1, 11.5, 0.5)
            place = np.digitize(size, steps)
            rows = [(2 ** (steps[p - 1] + 0.25), (found.best_iou[place == p] >= MATCH_IOU).mean(),
                     (place == p).sum()) for p in range(1, len(steps)) if (place == p).any()]
            # A ring is a share of fewer than five objects: it may be chance.
            for x, y, count in rows:
                below.plot(x, y, 'o', color=colour, markersize=4,
                           markerfacecolor=colour if count >= 5 else 'none')
            if rows:
                below.plot(*list(zip(*rows))[:2], '-', color=colour, linewidth=1.2)
        panel.axvline(MATCH_IOU, color=INK, linewidth=1)
        panel.set(xlim=(0, 1), xlabel='IoU with the best anchor', ylabel='share of objects')
        below.axhline(ENOUGH, color=INK, linewidth=1)
        below.set(xscale='log', ylim=(0, 1.03), ylabel='share covered',
                  xlabel='square root of the area, px for the network (ring: under 5 objects)')
        ticks = [4, 8, 16, 32, 64, 128, 256, 512]
        below.xaxis.set_ticks(ticks, [str(tick) for tick in ticks])
        below.xaxis.set_ticks([], minor=True)
        if panel.get_legend_handles_labels()[0]:
            figure.legend(loc='outside lower left', ncols=2)
        return svg(figure, 'IoU of objects with their best anchor')
