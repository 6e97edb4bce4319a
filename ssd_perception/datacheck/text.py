"""A data set's report as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ssd_perception.core.anchors import AnchorSpec
from ssd_perception.core.text import counted, printable
from ssd_perception.data.anchor_fit import MATCH_IOU, Suggestion
from ssd_perception.datacheck.check import DatasetReport
from ssd_perception.datacheck.problems import KINDS, Problem

EXAMPLES = 3
MAX_CLASSES = 30


def lines(report: DatasetReport) -> Iterator[str]:
    """Yield the summary, line by line."""
    height, width = report.architecture.input_hw
    for row in report.rows():
        yield (f'{row.label}: {counted(row.images, "image")} ({row.negatives} without '
               f'objects), {counted(sum(row.objects.values()), "object")}'
               + (f' ({row.difficult} difficult)' if row.difficult else ''))
        names = [f'{name} {count}' for name, count in list(row.objects.items())[:MAX_CLASSES]]
        if names:
            more = len(row.objects) - MAX_CLASSES
            yield f'  {", ".join(names)}' + (f' and {more} more classes' if more > 0 else '')
        if row.coverage.covered is not None:
            yield (f'  anchor coverage at {width}x{height}: {row.coverage.covered:.1%} of objects '
                   f'have IoU >= {MATCH_IOU:g} (mean best IoU {row.coverage.mean_iou:.2f})')
    if report.input_reason:
        yield f'{width}x{height} is the input that train plans: {report.input_reason}'
    for kind, found in report.by_kind.items():
        yield ''
        yield (f'{"ERROR" if KINDS[kind].error else "warning"}: {kind}, {len(found)}: '
               f'{KINDS[kind].remedy}.')
        for problem in found[:EXAMPLES]:
            yield printable(f'  {_place(problem)}: {problem.detail}', 1000)
        if len(found) > EXAMPLES:
            yield f'  ... and {len(found) - EXAMPLES} more'
    if report.suggestion:
        yield ''
        yield from suggestion_lines(report.suggestion)


def _place(problem: Problem) -> str:
    """Return where it is: the file, both images of a pair, a split of a folder."""
    if problem.other and problem.file.suffix == problem.other.suffix:
        return f'{problem.file} and {problem.other}'
    return problem.split if problem.split and problem.file.is_dir() else str(problem.file)


def suggestion_lines(suggestion: Suggestion) -> Iterator[str]:
    """Yield the keys of the recipe to change, and the coverage that they give."""
    yield (f'These anchors would cover {suggestion.covered:.1%} of the objects (mean best IoU '
           f'{suggestion.mean_iou:.2f}) with {suggestion.spec.per_cell} per position:')
    yield from ('  ' + line for line in recipe_lines(suggestion.spec))


def recipe_lines(spec: AnchorSpec) -> list[str]:
    """Return ``spec`` as the recipe's YAML."""
    def listed(values: Sequence[float]) -> str:
        return '[' + ', '.join(f'{value:g}' for value in values) + ']'
    return ['architecture:', '  anchors:', f'    base_scale: {spec.base_scale:g}',
            f'    octave_scales: {listed(spec.octave_scales)}',
            f'    aspect_ratios: {listed(spec.aspect_ratios)}']
