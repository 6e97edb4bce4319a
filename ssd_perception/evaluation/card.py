"""The model card's figures, written from the weights' own metadata so that both agree."""

from __future__ import annotations

import os
from pathlib import Path

from ssd_perception.core.metadata import Metadata
from ssd_perception.evaluation.negatives import told

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
        *(line for name, row in negatives.items() for line in (
            f'Where there is nothing to find ({name}), at the default threshold: {told(row)}.',
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
        raise ValueError(f'{path} needs the lines {BEGIN} and {END} around its figures.')
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    partial = path.with_name(path.name + '.partial')
    partial.write_text(f'{before}{BEGIN}\n{figures(metadata)}\n{END}{after}')
    os.replace(partial, path)


def _shown(value: float | None) -> str:
    return 'n/a' if value is None else f'{value:.3f}'
