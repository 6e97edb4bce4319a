"""A network that really looks: it points at the bright rectangle in its input, to the pixel."""

from __future__ import annotations

import numpy as np
from box_coding import encode

from ssd_perception.core.anchors import make_anchors
from ssd_perception.core.metadata import Architecture, Metadata, Preprocessing
from ssd_perception.inference.detector import Detector

NAMES = ('cone', 'traffic light', 'cube')


class Pointer:
    """A runtime whose answer is known from the picture alone.

    Args:
        labels: the classes that the rectangle is said to be, each with the same score.
        input_hw: height and width of the network's input, px.
    """

    name, device, precision, threads = 'pointer', 'cpu', 'fp32', 1

    def __init__(self, resize: str = 'letterbox', labels: tuple[int, ...] = (1,),
                 input_hw: tuple[int, int] = (128, 128)):
        self._labels = labels
        self.metadata = Metadata(NAMES, Architecture('efficientnet_lite0', input_hw),
                                 Preprocessing(resize=resize))
        a = self.metadata.architecture
        self._anchors, self._coder = make_anchors(a.anchors, a.input_hw, a.strides), a.box_coder

    def __call__(self, batch):
        logits = np.full((len(batch), len(self._anchors), len(NAMES)), -20, np.float32)
        deltas = np.zeros((len(batch), len(self._anchors), 4), np.float32)
        for i, picture in enumerate(batch):
            rows, columns = np.nonzero(picture.min(-1) > 200)
            if len(rows):
                box = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]])
                centre = (box[0, :2] + box[0, 2:]) / 2
                near = np.abs(self._anchors[:, :2] - centre).sum(-1).argmin()
                logits[i, near, list(self._labels)] = 5
                deltas[i, near] = encode(self._coder, box.astype(float),
                                         self._anchors[near:near + 1])[0]
        return logits, deltas


def pointing(resize: str = 'letterbox', labels: tuple[int, ...] = (1,),
             input_hw: tuple[int, int] = (128, 128)) -> Detector:
    """Return a Detector that points."""
    return Detector.from_runtime(Pointer(resize, labels, input_hw))


def rectangle(width: int, height: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return uint8 (H, W, 3) RGB, black with a white rectangle from edges x0, y0 to x1, y1."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[box[1]:box[3], box[0]:box[2]] = 255
    return picture
