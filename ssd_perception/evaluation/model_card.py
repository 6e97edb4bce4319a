"""A model card: the figures of the weights' metadata as Markdown, and the card's images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.format import format_number
from ssd_perception.core.metadata import Metadata, PublishedArchitecture, WeightsError
from ssd_perception.core.text import markdown, printable
from ssd_perception.evaluation.accuracy import Measurement
from ssd_perception.evaluation.analysis import Analysis
from ssd_perception.evaluation.calibration import Calibration
from ssd_perception.evaluation.corruptions import CorruptedAccuracy
from ssd_perception.evaluation.thresholds import OperatingPoint
from ssd_perception.evaluation.weights_metrics import SetMetrics

BEGIN, END = '<!-- figures -->', '<!-- /figures -->'
FAILURES = 8  # of each kind
INK = '#5c6470'  # readable on white pages and on black ones; an image has one colour for both


def figures(metadata: Metadata) -> str:
    """Return the Markdown of what ``metadata`` holds.

    Raises:
        WeightsError: when it holds no accuracy; ``publish`` measures it.
    """
    sets = {name: SetMetrics.from_json(row, metadata.score_threshold)
            for name, row in metadata.metrics.items()}
    measured = {name: row for name, row in sets.items() if row.accuracy is not None}
    if not measured:
        raise WeightsError('A model card needs weights with measured accuracy, and these have '
                           'none; measure them with publish.')
    first, row = next(iter(measured.items()))
    chose = [markdown(name) for name, each in measured.items()
             if each.chose_threshold] or [markdown(first)]
    best = f'the best F1 on {chose[0]}' if len(chose) == 1 else \
        f'the best mean F1 over {" and ".join(chose)}, with equal weights'
    limits = [f'{each.max_false_boxes:g} false boxes an image of {markdown(name)}'
              for name, each in sets.items() if each.max_false_boxes is not None]
    if limits:
        best += f', among the thresholds that leave at most {" and ".join(limits)}'
    lines = [
        *_accuracy_table(measured), '',
        f'Default score threshold: {metadata.score_threshold:g}. It has {best}.', '',
        *_points_table(measured), *_per_class(row.best_f1),
        *_reliability(first, row.calibration), *_corruptions(row.corruptions)]
    for name, each in sets.items():
        if each.negatives is not None:
            lines += [f'On images without objects ({markdown(name)}), at the default threshold: '
                      f'{each.negatives.describe()}.', '']
    lines += [
        f'Network: {_network(metadata)}.', '',
        f'Classes: {markdown(", ".join(metadata.class_names))}. Made {markdown(metadata.date)} by '
        f'ssd_perception {markdown(metadata.package_version)}; recipe hash '
        f'`{markdown(metadata.recipe_hash)}`.', '',
        f'Attribution: {markdown(metadata.attribution)}']
    return '\n'.join(lines)


def _network(metadata: Metadata) -> str:
    a = metadata.architecture
    placed = f'input {a.input_hw[1]}x{a.input_hw[0]} ({metadata.preprocessing.resize})'
    if isinstance(a, PublishedArchitecture):
        return f"torchvision's {a.network}, {placed}, {a.anchor_count} anchors"
    return (f'SSD on {a.backbone}, {placed}, pyramid of {len(a.strides)} levels with '
            f'{a.pyramid_channels} channels, {a.anchors.per_cell} anchors per cell')


def write_card(path: Path, metadata: Metadata) -> None:
    """Put the figures between the markers of the card at ``path``; the text around them stays.

    A card that does not exist yet begins with a title and the figures.

    Raises:
        WeightsError: when the card lacks the markers.
    """
    text = path.read_text(encoding='utf-8', errors='surrogateescape') if path.exists() \
        else f'# {printable(path.stem)}\n\n{BEGIN}\n{END}\n'
    if BEGIN not in text or END not in text:
        raise WeightsError(f'{path} needs the lines {BEGIN} and {END} around its figures; add '
                           'them.')
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    card = f'{before}{BEGIN}\n{figures(metadata)}\n{END}{after}'
    atomic_write(path, card.encode(errors='surrogateescape'))


def write_plots(folder: Path, analysis: Analysis) -> None:
    """Write ``precision_recall.svg``, ``thresholds.svg`` and ``calibration.svg``.

    Args:
        analysis: at the default threshold.
    """
    from ssd_perception.evaluation.plots import (  # a card without images needs no matplotlib
        calibration_plot,
        precision_recall_plot,
        threshold_plot,
    )

    threshold = analysis.threshold
    for name, text in (
            ('precision_recall', precision_recall_plot(analysis.classes)),
            ('thresholds', threshold_plot(analysis.over_thresholds, threshold,
                                          analysis.best_f1)),
            ('calibration', calibration_plot(analysis.calibration, threshold))):
        text = str(text).replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"', 1)
        atomic_write(folder / f'{name}.svg', (text.replace('currentColor', INK) + '\n').encode())


def copy_curves(folder: Path, weights: Path) -> bool:
    """Copy the training curves beside ``weights`` in the folder of its run; return if any."""
    source = weights.parent / 'curves.png'
    if source.is_file():
        atomic_write(folder / source.name, source.read_bytes())
    return source.is_file()


def write_failures(path: Path, measured: Measurement, analysis: Analysis) -> None:
    """Write one JPEG: the false positives of highest score, then the largest misses.

    Only of images that may be shown: they become part of what is published.
    """
    from ssd_perception.imaging.compressed import encode_jpeg
    from ssd_perception.viz.contact_sheet import contact_sheet
    from ssd_perception.viz.tiles import tile

    names = list(analysis.classes)
    images, captions = [], []
    for false in analysis.false_positives[:FAILURES]:
        found = measured.detections[false.image][[false.index]]
        images.append(tile(measured.samples[false.image].image(), found.xyxy[0], found,
                           measured.truths[false.image], names))
        captions.append(f'{names[false.label]} {false.score:.2f}: {false.kind}')
    for miss in analysis.misses[:FAILURES]:
        missed = measured.truths[miss.image][[miss.index]]
        found = measured.detections[miss.image]
        images.append(tile(measured.samples[miss.image].image(), missed.boxes()[0],
                           found[found.scores >= analysis.threshold], missed, names))
        captions.append(f'missed {names[miss.label]}')
    if not images:
        path.unlink(missing_ok=True)  # an earlier sheet shows failures of other weights
        return
    sheet = contact_sheet(images, captions, columns=4, tile_width=230)
    atomic_write(path, encode_jpeg(sheet, 85).tobytes())


def _accuracy_table(sets: Mapping[str, SetMetrics]) -> list[str]:
    rows = []
    for name, row in sets.items():
        assert row.accuracy is not None  # the caller chose these
        classes = ', '.join(f'{label} {_shown(each.voc10_ap50)}'
                            for label, each in row.accuracy.per_class.items())
        rows.append((name, row.accuracy.images, _shown(row.accuracy.voc10_ap50),
                     _shown(row.accuracy.voc07_ap50), _shown(row.accuracy.coco_ap), classes))
    return _table(('measured on', 'images', 'AP50 (VOC 2010)', 'AP50 (VOC 2007)', 'COCO AP',
                   'AP50 per class'), rows)


def _points_table(sets: Mapping[str, SetMetrics]) -> list[str]:
    """Return precision, recall and calibration of each set that has them."""
    rows = []
    for name, row in sets.items():
        if (point := row.at_default_threshold) is not None:
            errors = (None, None) if (c := row.calibration) is None else (
                c.expected_calibration_error_at_threshold, c.expected_calibration_error)
            rows.append((name, _shown(point.precision), _shown(point.recall),
                         *map(_shown, errors)))
    return [*_table(('at the default threshold', 'precision', 'recall', 'calibration error',
                     'calibration error over all scores'), rows), ''] if rows else []


def _per_class(best: Mapping[str, OperatingPoint]) -> list[str]:
    return [*_table(('class', 'best F1', 'at score threshold', 'precision', 'recall'), (
        (name, f'{at.f1:.3f}', f'{at.threshold:g}', f'{at.precision:.3f}', f'{at.recall:.3f}')
        for name, at in best.items())), ''] if best else []


def _reliability(name: str, calibration: Calibration | None) -> list[str]:
    if calibration is None:
        return []
    bins = [row for row in calibration.bins if row.count]
    return [f'How often a detection of a given score is right (IoU 0.5), on {markdown(name)}:', '',
            *_table(('score', *(f'{row.low:g}–{row.high:g}' for row in bins)), [
                ('detections', *(row.count for row in bins)),
                ('right', *(f'{row.precision:.2f}' for row in bins))]), '']


def _corruptions(rows: Sequence[CorruptedAccuracy]) -> list[str]:
    kinds: dict[str, list[str]] = {}
    for row in rows:
        kinds.setdefault(f'{row.corruption}, {row.unit}', []).append(
            f'{row.strength:g}: {_shown(row.voc10_ap50)} / {_shown(row.coco_ap)}')
    return ['Under corruption, AP50 (VOC 2010) / COCO AP at three strengths:', '',
            *_table(('corruption', 'mild', 'medium', 'strong'), (
                (kind, *cells) for kind, cells in kinds.items())), ''] if kinds else []


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [f'| {" | ".join(head)} |', '|---' * len(head) + '|',
            *(f'| {" | ".join(map(markdown, row))} |' for row in rows)]


def _shown(value: float | None) -> str:
    return format_number(value, missing='n/a')
