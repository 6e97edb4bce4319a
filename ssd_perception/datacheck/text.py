"""A data set's report as lines for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from ssd_perception.core.anchors import AnchorSpec
from ssd_perception.data.anchor_fit import MATCH_IOU, Suggestion
from ssd_perception.datacheck.check import DatasetReport
from ssd_perception.datacheck.problems import KINDS, Problem

EXAMPLES = 3
MAX_CLASSES = 30


def lines(report: DatasetReport) -> Iterator[str]:
    """Yield the summary, line by line."""
    height, width = report.architecture.input_hw
    for split in report.splits:
        counts = Counter(name for s in split.samples for name in s.names)
        negatives = sum(not s.names for s in split.samples)
        difficult = sum(int(s.difficult.sum()) for s in split.samples)
        yield (f'{split.label}: {counted(len(split.samples), "picture")} ({negatives} without '
               f'objects), {counted(sum(counts.values()), "object")}'
               + (f' ({difficult} difficult)' if difficult else ''))
        names = [f'{name} {count}' for name, count in counts.most_common(MAX_CLASSES)]
        if names:
            yield f'  {", ".join(names)}' + (
                f' and {len(counts) - MAX_CLASSES} more classes' if len(counts) > MAX_CLASSES
                else '')
        covered = report.coverage[split.label]
        if covered.covered is not None:
            yield (f'  anchor coverage at {width}x{height}: {covered.covered:.1%} of objects have '
                   f'IoU >= {MATCH_IOU:g} (mean best IoU {covered.mean_iou:.2f})')
    for kind, found in by_kind(report.problems).items():
        yield ''
        yield (f'{"ERROR" if KINDS[kind].error else "warning"}: {kind}, {len(found)}: '
               f'{KINDS[kind].remedy}.')
        for problem in found[:EXAMPLES]:
            yield f'  {_place(problem)}: {problem.detail}'
        if len(found) > EXAMPLES:
            yield f'  ... and {len(found) - EXAMPLES} more'
    if report.suggestion:
        yield ''
        yield from suggestion_lines(report.suggestion)


def counted(number: int, noun: str) -> str:
    """Return "1 error", "2 errors"."""
    return f'{number} {noun}' + 's' * (number != 1)


def _place(problem: Problem) -> str:
    """Return where it is: the file, both pictures of a pair, a split of a folder."""
    if problem.other and problem.file.suffix == problem.other.suffix:
        return f'{problem.file} and {problem.other}'
    return problem.split if problem.split and problem.file.is_dir() else str(problem.file)


def by_kind(problems: list[Problem]) -> dict[str, list[Problem]]:
    """Return the problems grouped, in their order."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.kind, []).append(problem)
    return found


def suggestion_lines(suggestion: Suggestion) -> Iterator[str]:
    """Yield what to change in the recipe, and what it is worth."""
    yield (f'These anchors would cover {suggestion.covered:.1%} of the objects (mean best IoU '
           f'{suggestion.mean_iou:.2f}) with {suggestion.spec.per_cell} per position:')
    yield from ('  ' + line for line in recipe_lines(suggestion.spec))


def recipe_lines(spec: AnchorSpec) -> list[str]:
    """Return ``spec`` as the recipe's YAML."""
    def listed(values: Iterable[float]) -> str:
        return '[' + ', '.join(f'{value:g}' for value in values) + ']'
    return ['architecture:', '  anchors:', f'    base_scale: {spec.base_scale:g}',
            f'    octave_scales: {listed(spec.octave_scales)}',
            f'    aspect_ratios: {listed(spec.aspect_ratios)}']
