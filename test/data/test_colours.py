"""Our colour changes are torchvision's, at a fraction of the time."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from ssd_perception.data.augment import ColourJitter


@pytest.mark.parametrize('change, value, reference, tolerance', [
    ('brightness', 1.4, functional.adjust_brightness, 1),
    ('contrast', 0.6, functional.adjust_contrast, 1),
    ('saturation', 1.5, functional.adjust_saturation, 1),
    # Its hues have 256 steps.
    ('hue', 0.31, functional.adjust_hue, 8)])
def test_a_change_is_torchvisions(change, value, reference, tolerance):
    colours = np.random.default_rng(0).integers(0, 256, (3, 8, 10))
    image = torch.from_numpy(colours.astype(np.uint8))
    jitter = ColourJitter(**{change: value if change == 'hue' else (value, value)})
    if change == 'hue':
        jitter._ranges = (*jitter._ranges[:3], (value, value))
    difference = (jitter(image).int() - reference(image, value).int()).abs()
    assert difference.max() <= tolerance
