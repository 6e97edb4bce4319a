"""docs/benchmarks.md is the page of the JSON beside it, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import ssd_perception
from ssd_perception.benchmark.document import document

DOCS = Path(ssd_perception.__file__).parents[1] / 'docs'
FIGURES = DOCS / 'benchmark'


def test_the_page_is_generated_from_the_figures():
    results, node = (json.loads((FIGURES / name).read_text())
                     for name in ('benchmark.json', 'node.json'))
    page = document(results, node, 'benchmark/latency_ap.png')
    assert (DOCS / 'benchmarks.md').read_text() == page, (
        'run `ssd_perception benchmark --out docs/benchmark --document docs/benchmarks.md`')
    assert (FIGURES / 'latency_ap.png').is_file()


def test_every_contestant_is_on_the_page():
    results = json.loads((FIGURES / 'benchmark.json').read_text())
    page = document(results)
    for contestant in results['contestants']:
        if contestant['kind'] in ('own', 'peer'):
            assert f'| {contestant["name"]} |' in page
            assert f'{contestant["ms"]["call"]["p95"]:.1f}' in page
