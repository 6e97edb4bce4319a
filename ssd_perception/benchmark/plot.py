"""The plot of a benchmark: average precision over latency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ssd_perception.benchmark.results import Benchmark

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(results: Benchmark, path: Path) -> None:
    """Write a PNG: own weights as points, entries without accuracy as vertical lines."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({'text.parse_math': False}):  # a file's name may hold a $
        _draw(results, Figure((7.5, 4.2), dpi=120, layout='constrained')).savefig(path)


def _draw(results: Benchmark, figure: Figure) -> Figure:
    axes = figure.subplots()
    own = results.of_kind('own')
    points = [(row.ms['call'].p50, row.ap.coco_ap, row.name) for row in own if row.ap]
    for x, y, name in sorted(points):
        axes.plot(x, y, 'o' if 'int8' not in name else 's', ms=8, label=f'{name}: {x:.1f} ms')
    grey = iter(('-', '--', ':', '-.', (0, (1, 4)), (0, (6, 2, 1, 2, 1, 2))))
    for row in [*results.of_kind('baseline'), *(row for row in own if not row.ap)]:
        x = row.ms['call'].p50
        axes.axvline(x, color='0.55', ls=next(grey, '-'), lw=1.2,
                     label=f'{row.name}: {x:.0f} ms (random weights)')
    axes.set_xscale('log')
    axes.xaxis.set_major_formatter('{x:g}')  # the usual 10^k would need parse_math
    axes.set_xlabel('whole call, 640x480 image to detections, median ms (logarithmic)')
    data = next((row.ap.data for row in own if row.ap), '')
    axes.set_ylabel(f'COCO AP on {data}' if data else 'COCO AP')
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=6, frameon=False, loc='lower left')
    on = results.machine
    axes.set_title(f'{on.processor}, {on.cores} cores, {on.vectors}', fontsize=9)
    return figure
