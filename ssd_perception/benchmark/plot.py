"""The picture of a benchmark: latency against average precision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(results: dict, path: Path) -> None:
    """Write a PNG: own contestants as points, others, whose weights are random, as lines."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({'text.parse_math': False}):  # a file's name with a $ is no formula
        _draw(results, Figure((7.5, 4.2), dpi=120, layout='constrained')).savefig(path)


def _draw(results: dict, figure: Figure) -> Figure:
    axes = figure.subplots()
    own = [c for c in results['contestants'] if c['kind'] == 'own']
    points = [(c['ms']['call']['p50'], c['ap']['coco_ap'], c['name'])
              for c in own if c.get('ap')]
    for x, y, name in sorted(points):
        axes.plot(x, y, 'o' if 'int8' not in name else 's', ms=8, label=f'{name}: {x:.1f} ms')
    grey = iter(('-', '--', ':', '-.', (0, (1, 4)), (0, (6, 2, 1, 2, 1, 2))))
    lines = [c for c in results['contestants'] if c['kind'] == 'peer']
    lines += [c for c in own if not c.get('ap')]
    for c in lines:
        x = c['ms']['call']['p50']
        axes.axvline(x, color='0.55', ls=next(grey, '-'), lw=1.2,
                     label=f'{c["name"]}: {x:.0f} ms (random weights)')
    axes.set_xscale('log')
    axes.set_xlabel('whole call, 640x480 picture to detections, median ms (logarithmic)')
    data = next((c['ap']['data'] for c in own if c.get('ap')), '')
    axes.set_ylabel(f'COCO AP on {data}' if data else 'COCO AP')
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, frameon=False, loc='lower left')
    axes.set_title(f'{results["machine"]["processor"]}, {results["machine"]["cores"]} cores, '
                   f'{results["machine"]["vectors"]}', fontsize=9)
    return figure
