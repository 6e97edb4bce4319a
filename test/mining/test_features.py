"""Features are the backbone's deepest level, averaged over the picture as the network sees it."""

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch')
from ssd_perception.core.metadata import Architecture, Metadata  # noqa: E402
from ssd_perception.mining.features import Features  # noqa: E402
from ssd_perception.model.ssd import SSD  # noqa: E402
from ssd_perception.model.weights import load_model, save_weights  # noqa: E402


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    torch.manual_seed(3)
    architecture = Architecture('efficientnet_lite0', (64, 64), pyramid_channels=8, head_depth=1)
    return save_weights(tmp_path_factory.mktemp('weights') / 'tiny.safetensors',
                        SSD(architecture, 2), Metadata(('cone', 'cube'), architecture))


def picture(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(noise, (128, 96), interpolation=cv2.INTER_NEAREST)


def test_they_are_the_backbones(weights):
    model, metadata = load_model(weights)
    canvas = np.full((64, 64, 3), metadata.preprocessing.padding_value, np.uint8)
    canvas[:48] = cv2.resize(picture(0), (64, 48), interpolation=cv2.INTER_AREA)
    p = metadata.preprocessing
    pixels = (canvas.astype(np.float32) - p.mean) / p.std
    with torch.inference_mode():
        deepest = model.backbone(torch.tensor(pixels, dtype=torch.float32)
                                 .permute(2, 0, 1)[None])[-1]
    expected = deepest.mean((2, 3)).numpy()
    found = Features(weights, 'cpu')([picture(0)])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a CUDA device')
def test_where_another_runtime_has_a_gpu_and_torch_has_none_the_cpu_looks(weights):
    np.testing.assert_array_equal(Features(weights, 'cuda:0')([picture(0)]),
                                  Features(weights, 'cpu')([picture(0)]))


def test_each_picture_has_its_own(weights):
    look = Features(weights, 'cpu')
    both = look([picture(1), picture(2)])
    assert both.dtype == np.float32 and both.shape[0] == 2
    np.testing.assert_allclose(both[1:], look([picture(2)]), rtol=1e-3,
                               atol=1e-4 * np.abs(both).max())
    assert np.linalg.norm(both[0] - both[1]) > 0.01 * np.linalg.norm(both[0])
