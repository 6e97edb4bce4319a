"""A network with random weights for tests that need any network."""

from __future__ import annotations

from pathlib import Path

import pytest


def random_weights(path: Path, side: int) -> Path:
    """Write a network with random weights and an input of side x side px."""
    torch = pytest.importorskip('torch')
    from ssd_perception.core.metadata import Architecture, Metadata
    from ssd_perception.model.ssd import SSD
    from ssd_perception.model.weights import save_weights
    torch.manual_seed(1)
    architecture = Architecture('efficientnet_lite0', (side, side), pyramid_channels=32,
                                head_depth=1)
    # A fresh network scores everything about 0.01.
    return save_weights(path, SSD(architecture, 2),
                        Metadata(('cone', 'cube'), architecture, score_threshold=0.005))
