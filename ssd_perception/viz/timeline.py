"""Plots over the time of a run: scores, numbers and ages of detections; and of its latencies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from ssd_perception.viz.plot_style import BLUE, GREY, STYLE, line_colour, svg

_WIDTH_IN = 11.5
_MANY = 2000  # beyond so many dots a plot holds them as pixels


@dataclass
class Track:
    """The data of one camera's timeline.

    Attributes:
        seconds: (frames,) times since the recording's first frame.
        counts: class -> (frames,) published detections.
        points: class -> (time in s, score) of every published detection.
        faint: class -> the same of those between half the threshold and the threshold.
    """

    seconds: list[float] = field(default_factory=list)
    counts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    points: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    faint: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))


def timeline(track: Track, class_names: Sequence[str], threshold: float) -> str:
    """Return an SVG: every detection's score over time, and how many there are in each frame.

    Args:
        threshold: drawn as a line.
    """
    with rc_context(STYLE):
        return _timeline(track, class_names, threshold)


def _timeline(track: Track, class_names: Sequence[str], threshold: float) -> str:
    figure = Figure((_WIDTH_IN, 4.2), layout='constrained', dpi=150)
    scores, counts = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    # The longer the recording, the smaller the dots: they must not become one field of colour.
    size = max(1.5, min(18.0, 8000 / max(1, len(track.seconds))))
    many = sum(map(len, (*track.points.values(), *track.faint.values()))) > _MANY
    for label, name in enumerate(class_names):
        colour = line_colour(label)
        if track.faint[name]:
            scores.scatter(*zip(*track.faint[name]), s=size, facecolors='none',
                           edgecolors=colour, linewidths=0.8, alpha=0.8,
                           rasterized=many)
        if track.points[name]:
            scores.scatter(*zip(*track.points[name]), s=size, color=colour, linewidths=0,
                           rasterized=many)
        scores.scatter([], [], s=18, color=colour, label=name)
        counts.step(track.seconds, track.counts[name], where='post', color=colour, linewidth=1.2)
    scores.axhline(threshold, color=GREY, linestyle='--', linewidth=1)
    scores.set(ylim=(0, 1.03), ylabel='score')
    scores.legend(loc='lower left', bbox_to_anchor=(0, 1), ncols=8, borderaxespad=0.2)
    counts.set(xlabel='s', ylabel='in a frame')
    counts.yaxis.get_major_locator().set_params(integer=True, nbins=4)
    counts.set_ylim(bottom=0)
    return svg(figure, 'Scores and numbers of detections over time')


def over_time(seconds: Sequence[float], lines: Mapping[str, Sequence[float | None]],
              unit: str, title: str) -> str:
    """Return an SVG of lines over time, in the colours of classes when there are several.

    Args:
        seconds: (N,) of the frames.
        lines: name -> (N,) values; None is a gap.
        unit: of the values.
        title: for those who cannot see it.
    """
    with rc_context(STYLE):
        figure = Figure((_WIDTH_IN, 2.0), layout='constrained')
        axes = figure.subplots()
        for label, (name, line) in enumerate(lines.items()):
            values = np.array(line, float)  # None becomes NaN
            colour = BLUE if len(lines) == 1 else line_colour(label)
            axes.plot(seconds, values, color=colour, linewidth=1.5, label=name)
            # A line of one point would not be seen.
            gap = np.isnan(np.concatenate([[np.nan], values, [np.nan]]))
            alone = ~gap[1:-1] & gap[:-2] & gap[2:]
            axes.scatter(np.array(seconds)[alone], values[alone], s=12, color=colour)
        if len(lines) > 1:
            axes.legend(loc='lower left', bbox_to_anchor=(0, 1), ncols=8, borderaxespad=0.2)
        axes.set(xlabel='s', ylabel=unit)
        axes.set_ylim(bottom=0)
        return svg(figure, title)


def stage_bars(stages: Mapping[str, Mapping[str, float]]) -> str:
    """Return an SVG of bars: the median of each stage, with a whisker up to its 95th percentile.

    Args:
        stages: stage -> ``median`` and ``p95``, milliseconds.
    """
    with rc_context(STYLE):
        return _stage_bars(stages)


def _stage_bars(stages: Mapping[str, Mapping[str, float]]) -> str:
    figure = Figure((_WIDTH_IN * 0.6, 0.5 + 0.38 * len(stages)), layout='constrained')
    axes = figure.subplots()
    for row, times in enumerate(stages.values()):
        axes.barh(row, times['median'], color=BLUE, height=0.6)
        axes.plot([times['median'], times['p95']], [row, row], color=GREY, linewidth=1.5,
                  marker='|', markersize=8)
    axes.set_yticks(range(len(stages)), list(stages))
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel('ms for a frame')
    return svg(figure, 'Milliseconds of each stage')
