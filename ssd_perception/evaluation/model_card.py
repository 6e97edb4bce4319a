"""The model card's figures, written from the weights' own metadata so that both agree."""

from __future__ import annotations

from pathlib import Path

from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.errors import SettingError
from ssd_perception.core.metadata import Metadata
from ssd_perception.evaluation.negatives import describe_false_boxes

BEGIN, END = '<!-- figures -->', '<!-- /figures -->'


def figures(metadata: Metadata) -> str:
    """Return the Markdown that says what ``metadata`` holds."""
    a = metadata.architecture
    lines = [
        '| measured on | pictures | AP50 (VOC 2010) | AP50 (VOC 2007) | COCO AP | '
        'AP50 per class |', '|---|---|---|---|---|---|']
    negatives = {name: row['negatives'] for name, row in metadata.metrics.items()
                 if 'negatives' in row}
    for name, row in metadata.metrics.items():
        if name in negatives:
            continue
        classes = ', '.join(f'{label} {_shown(r["voc10_ap50"])}'
                            for label, r in row['per_class'].items())
        lines.append(f'| {name} | {row["images"]} | {_shown(row["voc10_ap50"])} | '
                     f'{_shown(row["voc07_ap50"])} | {_shown(row["coco_ap"])} | {classes} |')
    first, row = next(iter(metadata.metrics.items()))
    at = row['at_default_threshold']
    lines += [
        '', f'Default score threshold: {metadata.score_threshold:g}, the one with the best F1 on '
        f'{first}: precision {at["precision"]:.3f}, recall {at["recall"]:.3f}.', '',
        *_per_class(row), *_calibration(row), *_corruptions(row),
        *(line for name, row in negatives.items() for line in (
            f'Where there is nothing to find ({name}), '
            f'at the default threshold: {describe_false_boxes(row)}.',
            '')),
        f'Network: SSD on {a.backbone}, input {a.input_hw[1]}x{a.input_hw[0]} '
        f'({metadata.preprocessing.resize}), pyramid of {len(a.strides)} levels with '
        f'{a.pyramid_channels} channels, {a.anchors.per_cell} anchors per cell.', '',
        f'Classes: {", ".join(metadata.class_names)}. Made {metadata.date} by ssd_perception '
        f'{metadata.package_version}; recipe hash `{metadata.recipe_hash}`.', '',
        f'Attribution: {metadata.attribution}']
    return '\n'.join(lines)


def write_card(path: Path, metadata: Metadata) -> None:
    """Put the figures between the markers of the card at ``path``; what is around them stays.

    A card that does not exist yet begins with a title and the figures.
    """
    text = path.read_text() if path.exists() else f'# {path.stem}\n\n{BEGIN}\n{END}\n'
    if BEGIN not in text or END not in text:
        raise SettingError(f'{path} needs the lines {BEGIN} and {END} around its figures.')
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    atomic_write(path, f'{before}{BEGIN}\n{figures(metadata)}\n{END}{after}'.encode())


def _per_class(row: dict) -> list[str]:
    best = {name: figures['best_f1'] for name, figures in row['per_class'].items()
            if figures.get('best_f1')}
    if not best:
        return []
    return ['| class | best F1 | at score threshold | precision | recall |',
            '|---|---|---|---|---|',
            *(f'| {name} | {at["f1"]:.3f} | {at["threshold"]:g} | {at["precision"]:.3f} | '
              f'{at["recall"]:.3f} |' for name, at in best.items()), '']


def _calibration(row: dict) -> list[str]:
    if 'calibration' not in row:
        return []
    c = row['calibration']
    bins = [b for b in c['bins'] if b['count']]
    return ['How often a detection of a given score is right (IoU 0.5); expected calibration '
            f'error {_shown(c["expected_calibration_error"])}, from the default threshold on '
            f'{_shown(c["expected_calibration_error_at_threshold"])}:', '',
            '| score | ' + ' | '.join(f'{b["low"]:g}–{b["high"]:g}' for b in bins) + ' |',
            '|---' * (len(bins) + 1) + '|',
            '| detections | ' + ' | '.join(str(b['count']) for b in bins) + ' |',
            '| right | ' + ' | '.join(f'{b["precision"]:.2f}' for b in bins) + ' |', '']


def _corruptions(row: dict) -> list[str]:
    if not row.get('corruptions'):
        return []
    kinds: dict[str, list[dict]] = {}
    for corrupted in row['corruptions']:
        kinds.setdefault(f'{corrupted["corruption"]}, {corrupted["unit"]}', []).append(corrupted)
    return ['Under corruption, AP50 (VOC 2010) / COCO AP at three strengths:', '',
            '| corruption | mild | medium | strong |', '|---|---|---|---|',
            *(f'| {kind} | ' + ' | '.join(
                f'{r["strength"]:g}: {_shown(r["voc10_ap50"])} / {_shown(r["coco_ap"])}'
                for r in rows) + ' |' for kind, rows in kinds.items()), '']


def _shown(value: float | None) -> str:
    return 'n/a' if value is None else f'{value:.3f}'
