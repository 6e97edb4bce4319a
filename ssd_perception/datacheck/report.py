"""Write a data set's report: one page to look at, and the problems as JSON and CSV."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from ssd_perception.core.format import format_number, to_json
from ssd_perception.core.text import printable
from ssd_perception.data.anchor_fit import MATCH_IOU
from ssd_perception.datacheck.check import DatasetReport
from ssd_perception.datacheck.plots import balance_plot, coverage_plot, size_plot
from ssd_perception.datacheck.problems import KINDS, Problem, ProblemRow
from ssd_perception.datacheck.text import recipe_lines
from ssd_perception.datacheck.tiles import problem_tile
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.viz.page import (
    cards,
    document,
    figure,
    heading,
    html,
    image,
    join,
    note,
    table,
    wide,
)

MARK = 'data_report.json'
TILES_PER_KIND = 8
ROWS_PER_KIND = 20


def write_report(folder: Path, report: DatasetReport, samples: np.ndarray | None,
                 title: str) -> None:
    """Write report.html, data_report.json, problems.json, problems.csv and samples.jpg.

    Args:
        folder: exists.
        samples: uint8 RGB of ``augmented_samples``; None where there are none.
        title: names the data.
    """
    rows = [problem.row() for problem in report.problems]
    _write_json(folder / 'problems.json', [row._asdict() for row in rows])
    # A name of a file that is not UTF-8 is written with escapes.
    with open(folder / 'problems.csv', 'w', newline='', encoding='utf-8',
              errors='backslashreplace') as file:
        writer = csv.writer(file)
        writer.writerow(ProblemRow._fields)
        writer.writerows([csv_cell(text) for text in row] for row in rows)
    _write_json(folder / MARK, report_json(report))
    if samples is not None:
        (folder / 'samples.jpg').write_bytes(encode_jpeg(samples, 90).tobytes())
    (folder / 'report.html').write_text(document(title, list(_parts(report, samples))),
                                        encoding='utf-8', errors='backslashreplace')


def csv_cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(('=', '+', '-', '@', '\t', '\r')) else text


def report_json(report: DatasetReport) -> dict[str, Any]:
    """Return the figures of data_report.json."""
    found = report.suggestion
    return {
        'splits': {row.label: {
            'pictures': row.images, 'negatives': row.negatives, 'objects': row.objects,
            'difficult': row.difficult, 'anchor_coverage': row.coverage.covered,
            'mean_best_iou': row.coverage.mean_iou} for row in report.rows()},
        'class_names': report.class_names, 'input_hw': report.architecture.input_hw,
        'errors': report.errors, 'warnings': report.warnings,
        'problems': {kind: len(problems) for kind, problems in report.by_kind.items()},
        'suggested_anchors': found and {
            **to_json(found.spec), 'anchor_coverage': found.covered,
            'mean_best_iou': found.mean_iou}}


def _parts(report: DatasetReport, samples: np.ndarray | None) -> Iterator[str]:
    boxes = [found.best_iou for found in report.coverage.values()]
    best = np.concatenate(boxes or [np.zeros(0)])
    height, width = report.architecture.input_hw
    yield cards([
        ('images', str(sum(len(s.samples) for s in report.splits)),
         'in one split' if len(report.splits) == 1 else
         f'in {len(report.splits)} splits'),
        ('objects', str(len(best)), f'{len(report.class_names)} classes'),
        ('errors', str(report.errors), 'to be corrected'),
        ('warnings', str(report.warnings), 'to be checked'),
        ('anchor coverage', format_number(100 * float((best >= MATCH_IOU).mean())
                                          if len(best) else None,
                                 ' %', 1), f'at {width}x{height}')])
    yield table(['split', 'images', 'without objects', 'objects', 'difficult', 'covered'],
                [[row.label, str(row.images), str(row.negatives), str(sum(row.objects.values())),
                  str(row.difficult), _percent(row.coverage.covered)] for row in report.rows()])
    if report.input_reason:
        yield note(f'{width}x{height} is the input that train plans: {report.input_reason}')
    yield heading('Problems') + _overview(report)
    yield html('<h2>What is in it</h2><div class="beside">{}{}{}{}</div>',
               balance_plot(report.splits, report.class_names),
               size_plot(report.placed, report.architecture),
               coverage_plot(report.coverage, report.placed), _suggested(report))
    if samples is not None:
        yield heading('Samples before and after augmentation') + wide(
            image(encode_jpeg(samples), 'Samples with their boxes, as stored and as trained on'),
            900)
    yield from _details(report)


def _percent(share: float | None) -> str:
    return format_number(None if share is None else 100 * share, ' %', 1)


def _overview(report: DatasetReport) -> Markup:
    rows = [[html('<a href="#{}">{}</a>', kind.replace(' ', '_'), kind),
             'error' if KINDS[kind].error else 'warning', KINDS[kind].remedy, str(len(found))]
            for kind, found in report.by_kind.items()]
    return table(['kind', '', 'what to do', 'count'], rows, texts=3) if rows \
        else html('<p>None was found.</p>')


def _suggested(report: DatasetReport) -> str:
    found = report.suggestion
    if found is None:
        return ''
    return html('<div><h2>Anchors that match better</h2><p>They cover {:.1%} of the objects '
                'trained on, with {} anchors per position; for the recipe:</p><pre>{}</pre></div>',
                found.covered, found.spec.per_cell, '\n'.join(recipe_lines(found.spec)))


def _details(report: DatasetReport) -> Iterator[str]:
    samples = {s.path: s for split in report.splits for s in split.samples}
    # COCO has one file for all images; VOC has one for each.
    shared = Counter(s.annotation for s in samples.values())
    by_annotation = {s.annotation: s for s in samples.values() if shared[s.annotation] == 1}
    for kind, found in report.by_kind.items():
        rows = [[_shown(problem), printable(problem.detail, 1000)]
                for problem in found[:ROWS_PER_KIND]]
        more = note(f'and {len(found) - ROWS_PER_KIND} more in problems.csv') \
            if len(found) > ROWS_PER_KIND else ''
        tiles = []
        for problem in found:
            sample = by_annotation.get(problem.file)
            known = samples if problem.file in samples or problem.other in samples \
                or sample is None else {**samples, problem.file: sample}
            tile = problem_tile(problem, known, report.class_names)
            if tile is not None:
                caption = ' and '.join(printable(file.name)
                                       for file in (problem.file, problem.other) if file in known)
                tiles.append(figure(image(encode_jpeg(tile), problem.kind), caption,
                                    tile.shape[1]))
            if len(tiles) == TILES_PER_KIND:
                break
        yield html('<h2 id="{}">{}: {}</h2>{}{}<div class="tiles">{}</div>',
                   kind.replace(' ', '_'), kind, len(found), table([], rows, texts=2), more,
                   join(tiles))


def _shown(problem: Problem) -> str:
    """Return the end of the file's path: the whole one is in problems.csv."""
    return printable('/'.join(problem.file.parts[-3:]))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + '\n', encoding='utf-8')
