"""Features that show the class of an object make no mistakes, others do."""

import cv2
import numpy as np
import pytest
from torch import nn
from torch.nn import functional as F

from ssd_perception.core.metadata import Preprocessing
from ssd_perception.data.sample import Sample
from ssd_perception.training.features import mistakes

RED, BLUE = (220, 30, 30), (30, 30, 220)


class Colours(nn.Module):
    """A backbone whose features are the mean colours of cells."""

    channels, strides = (3, 3, 3), (8, 16, 32)

    def forward(self, images):
        return [F.avg_pool2d(images, stride) for stride in self.strides]


def samples_in(folder, labelled, count=8):
    """Return images with a red box and a blue one, which ``labelled(image)`` names."""
    found = []
    for index in range(count):
        image = np.full((240, 320, 3), 128, np.uint8)
        boxes = np.array([[20 + 5 * index, 20, 120 + 5 * index, 120], [180, 100, 280, 200]])
        for (x0, y0, x1, y1), colour in zip(boxes, (RED, BLUE)):
            image[y0:y1, x0:x1] = colour
        path = folder / f'{index}.png'
        cv2.imwrite(str(path), image[..., ::-1])
        found.append(Sample(path, boxes.astype(np.float32), labelled(index), np.zeros(2, bool)))
    return found


def count(samples, names=('red', 'blue')):
    return mistakes(Colours(), samples, names, Preprocessing())


def test_colours_distinguish_classes_of_colours_and_no_others(tmp_path):
    samples = samples_in(tmp_path, lambda index: ('red', 'blue'))
    assert count(samples) == 0
    samples[3].path.write_bytes(b'no image')
    assert count(samples) == 0
    mixed = samples_in(tmp_path, lambda index: ('red', 'blue')[::(-1) ** (index // 2)])
    assert count(mixed) >= 5


@pytest.mark.parametrize('images', [0, 1])
def test_without_other_images_nothing_is_known(tmp_path, images):
    assert count(samples_in(tmp_path, lambda index: ('red', 'blue'), images)) == 0


def test_objects_without_width_in_the_input_and_images_without_objects_do_no_harm(tmp_path):
    samples = samples_in(tmp_path, lambda index: ('red', 'blue'))
    empty = Sample(samples[0].path, np.zeros((0, 4), np.float32), (), np.zeros(0, bool))
    samples[1].xyxy[0, 2:] = samples[1].xyxy[0, :2] + 0.01
    assert count([*samples, empty]) <= 1
