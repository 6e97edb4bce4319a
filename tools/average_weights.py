"""Average the weights of several trainings that began from the same weights.

Fine-tunings of one network lie in one valley of the loss, and their mean is often better than
each of them (Wortsman et al. 2022, "Model soups"). It costs nothing when the detector runs:

    python tools/average_weights.py runs/a/a.safetensors runs/b/b.safetensors \\
        --out runs/mean.safetensors
    ssd_perception evaluate --weights runs/mean.safetensors --data PHOTOGRAPHS

The statistics of the backbone's norms should be the same in all, as with
`freeze_backbone_norms: true`: the mean of others is not the statistics of the mean. Metadata are
those of the first file.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from ssd_perception.core.metadata import WeightsError
from ssd_perception.model.weights import load_trainable, save_weights


def average(paths: list[Path], out: Path) -> Path:
    """Write the mean of the weights in ``paths`` to ``out``.

    Raises:
        WeightsError: for a file that cannot be read, or whose network or classes differ from
            the first one's.
    """
    model, metadata = load_trainable(paths[0])
    total = {key: value.double() for key, value in model.state_dict().items()}
    for path in paths[1:]:
        other, described = load_trainable(path)
        if (described.architecture, described.class_names, described.preprocessing) != (
                metadata.architecture, metadata.class_names, metadata.preprocessing):
            raise WeightsError(f'{path} has another network, other classes or another '
                               f'preprocessing than {paths[0]}: their mean would be nothing.')
        for key, value in other.state_dict().items():
            total[key] += value.double()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            value.copy_(total[key] / len(paths))  # copy_ rounds to the tensor's own type
    return save_weights(out, model, metadata)


def main() -> None:
    """Average and say where the result lies."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('weights', nargs='+', type=Path)
    parser.add_argument('--out', required=True, type=Path)
    args = parser.parse_args()
    try:
        print(average(args.weights, args.out))
    except (WeightsError, OSError) as error:
        sys.exit(f'average_weights: {error}')


if __name__ == '__main__':
    main()
