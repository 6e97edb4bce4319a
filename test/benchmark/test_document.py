"""docs/benchmarks.md is the page of the JSON beside it, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import ssd_perception
from ssd_perception.benchmark.document import document
from ssd_perception.benchmark.results import (
    Benchmark,
    CamerasBenchmark,
    NodeBenchmark,
    StartBenchmark,
)
from ssd_perception.benchmark.run import write_document
from ssd_perception.core.format import from_json, to_json

DOCS = Path(ssd_perception.__file__).parents[1] / 'docs'
FIGURES = DOCS / 'benchmark'


def read(kind, name):
    return from_json(kind, json.loads((FIGURES / name).read_text()))


def test_the_page_is_generated_from_the_figures(tmp_path):
    page = tmp_path / 'docs' / 'benchmarks.md'
    page.parent.mkdir()
    (page.parent / 'benchmark').symlink_to(FIGURES)
    write_document(page, page.parent / 'benchmark')
    assert (DOCS / 'benchmarks.md').read_text() == page.read_text(), (
        'run `ssd_perception benchmark --out docs/benchmark --document docs/benchmarks.md`')
    assert '](benchmark/latency_ap.png)' in page.read_text()


def test_figures_are_the_same_after_reading_and_writing():
    for kind, name in ((Benchmark, 'benchmark.json'), (NodeBenchmark, 'node.json'),
                       (CamerasBenchmark, 'cameras.json'), (StartBenchmark, 'start.json')):
        assert to_json(read(kind, name)) == json.loads((FIGURES / name).read_text())


def test_every_entry_is_on_the_page():
    results = read(Benchmark, 'benchmark.json')
    page = document(results)
    for row in results.of_kind('own', 'baseline'):
        assert f'| {row.name} |' in page and f'{row.ms["call"].p95:.1f}' in page


def test_each_case_of_many_cameras_has_its_fewest_answers_ages_and_cpu():
    cameras = read(CamerasBenchmark, 'cameras.json')
    page = document(read(Benchmark, 'benchmark.json'), cameras=cameras)
    for case in cameras.cases:
        row = next(line for line in page.splitlines() if line.startswith(
            f'| {case.nodes} | {case.cameras} | {case.transport} |'))
        assert (f' {case.answers_per_s:.0f} ({case.least_per_s:.0f}); {case.age_ms.p50:.0f}, '
                f'{case.age_ms.p95:.0f}; {100 * case.cpu:.0f} % |') in row
