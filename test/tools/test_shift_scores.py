"""Scores of one class are shifted, those of the others and all boxes stay."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from ssd_perception.core.metadata import Architecture, Metadata, WeightsError  # noqa: E402
from ssd_perception.model.ssd import SSD  # noqa: E402
from ssd_perception.model.weights import load_model, save_weights  # noqa: E402

TOOL = Path(__file__).parents[2] / 'tools' / 'shift_scores.py'
spec = importlib.util.spec_from_file_location('shift_scores', TOOL)
shift_scores = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shift_scores)


def test_only_the_class_moves(tmp_path):
    torch.manual_seed(0)
    architecture = Architecture(backbone='efficientnet_lite0', input_hw=(64, 64),
                                pyramid_channels=8, head_depth=1)
    path = save_weights(tmp_path / 'a.safetensors', SSD(architecture, 2),
                        Metadata(('cone', 'cube'), architecture))
    out = shift_scores.shift(path, 'cube', -0.5, tmp_path / 'b.safetensors')
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        (logits, deltas), (shifted, same) = (load_model(p)[0](image) for p in (path, out))
    np.testing.assert_allclose(shifted - logits, [[[0.0, -0.5]]] * logits.new_ones(
        1, logits.shape[1], 1).numpy(), atol=1e-5)
    assert torch.equal(deltas, same)
    with pytest.raises(WeightsError, match='no class "dog"'):
        shift_scores.shift(path, 'dog', 1.0, out)
