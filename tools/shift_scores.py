"""Shift all scores of one class, so that one score threshold suits every class.

A class whose false boxes score higher than those of the others makes the common threshold too
high for them. This adds a constant to the class's logits, before the sigmoid: the order of its
detections, and so its average precision, stays as it was.

    python tools/shift_scores.py runs/rover/rover.last.safetensors --class cube --by -0.5 \\
        --out runs/shifted.safetensors
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from ssd_perception.core.metadata import WeightsError
from ssd_perception.model.weights import load_trainable, save_weights, stored_half


def shift(weights: Path, class_name: str, by: float, out: Path) -> Path:
    """Write ``weights`` with ``by`` added to the logits of a class to ``out``.

    Raises:
        WeightsError: for a file that cannot be read or does not know the class.
    """
    model, metadata = load_trainable(weights)
    if class_name not in metadata.class_names:
        raise WeightsError(f'{weights} has no class "{class_name}": choose one of '
                           f'{", ".join(metadata.class_names)}.')
    count = len(metadata.class_names)
    bias = model.class_head.get_parameter('predict.1.bias')
    with torch.no_grad():
        bias[metadata.class_names.index(class_name)::count] += by  # classes vary fastest
    return save_weights(out, model, metadata, half=stored_half(weights))


def main() -> None:
    """Shift, and print where the result lies."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('weights', type=Path)
    parser.add_argument('--class', required=True, dest='class_name', metavar='NAME')
    parser.add_argument('--by', required=True, type=float, help='added to its logits')
    parser.add_argument('--out', required=True, type=Path)
    args = parser.parse_args()
    try:
        print(shift(args.weights, args.class_name, args.by, args.out))
    except (WeightsError, OSError) as error:
        sys.exit(f'shift_scores: {error}')


if __name__ == '__main__':
    main()
