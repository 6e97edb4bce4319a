"""Draw detections and ground truth into an image so that they are readable at every size."""

from __future__ import annotations

import colorsys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.core.text import printable

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_HAS_UNICODE = int(cv2.__version__.partition('.')[0]) >= 5
# Latin letters that are no letter with an accent.
_LETTERS = str.maketrans({'ß': 'ss', 'æ': 'ae', 'Æ': 'AE', 'ø': 'o', 'Ø': 'O', 'ł': 'l', 'Ł': 'L',
                          'đ': 'd', 'Đ': 'D', 'œ': 'oe', 'Œ': 'OE', 'ı': 'i', 'þ': 'th'})
_AVOIDED = 100  # labels that the next ones are placed beside of
_TRUTH_COLOUR = (255, 255, 255)
# Steps of the golden ratio around the colour circle keep any number of classes apart, and a
# class keeps its colour when others are added behind it. The start makes the first one orange.
_GOLDEN, _FIRST_HUE = 0.618034, 0.09


def class_colour(label: int) -> tuple[int, int, int]:
    """Return the RGB colour of a class, each 0 to 255; always the same for one label."""
    hue = (_FIRST_HUE + label * _GOLDEN) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.9, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def drawable(name: str, label: int, has_unicode: bool = _HAS_UNICODE) -> str:
    """Return a class's name as the letters of this OpenCV can show it.

    OpenCV 4 draws ASCII alone, and question marks for the rest: letters lose their accents there,
    and a name in another script becomes the number of its class.
    """
    if name.isascii() or has_unicode:
        return name
    plain = unicodedata.normalize('NFKD', name.translate(_LETTERS))
    plain = ''.join(c for c in plain if not unicodedata.combining(c))
    return plain if plain.isascii() else f'class {label}'


def _dark_colour(label: int) -> tuple[int, int, int]:
    red, green, blue = class_colour(label)
    return red // 4, green // 4, blue // 4


def draw_detections(image: np.ndarray, detections: Detections, class_names: Sequence[str],
                    truth: GroundTruth | None = None,
                    weak: Detections | None = None) -> np.ndarray:
    """Return a copy of ``image`` with boxes and labels such as "cone 0.93", or "cone 3 0.93".

    Args:
        image: uint8 (H, W, 3) RGB; not changed.
        detections: boxes in the image's pixels; the best score is drawn on top.
        class_names: names that the labels index into; a label beyond them is drawn as its
            number.
        truth: ground truth, drawn thin, dashed and white, without labels.
        weak: detections below the threshold, drawn dashed in their class's colour, with labels
            on dark fields.
    """
    canvas = np.array(image, order='C')
    thickness = max(1, round(max(image.shape[:2]) / 400))
    for box in truth.boxes() if truth is not None else ():
        _dashed(canvas, _corners(box, image.shape), max(1, thickness // 2))
    for box, number in zip(weak.xyxy, weak.labels.tolist()) if weak is not None else ():
        _dashed(canvas, _corners(box, image.shape), thickness, class_colour(number))
    # Detections come best first: backwards, the best one ends on top; and all labels come
    # after all boxes, so that no box crosses a label.
    for i in range(len(detections) - 1, -1, -1):
        low, high = _corners(detections.xyxy[i], image.shape)
        cv2.rectangle(canvas, low, high, class_colour(int(detections.labels[i])), thickness)
    labels: list[_Label] = []
    for found, fields in ((detections, class_colour), (weak or Detections.empty(), _dark_colour)):
        ids = [''] * len(found) if found.ids is None else [f' {one}' for one in found.ids.tolist()]
        for box, score, number, one in zip(found.xyxy, found.scores, found.labels.tolist(), ids):
            name = (drawable(class_names[number], number) if number < len(class_names)
                    else str(number)) + one
            labels.append(_Label.beside(box, f'{name} {score:.2f}', fields(number),
                                        canvas.shape, labels))
    for label in reversed(labels):
        label.draw(canvas)
    return canvas


def draw_truth(image: np.ndarray, truth: GroundTruth, class_names: Sequence[str]) -> np.ndarray:
    """Return a copy of ``image`` with ground truth as dashed white boxes and class names.

    Args:
        image: uint8 (H, W, 3) RGB; not changed.
        truth: boxes in the image's pixels.
        class_names: names that the labels index into.
    """
    canvas = draw_detections(image, Detections.empty(), class_names, truth)
    labels: list[_Label] = []
    for box, label in zip(truth.boxes(), np.asarray(truth.labels).tolist()):
        name = drawable(class_names[label], label)
        labels.append(_Label.beside(box, name, class_colour(label), canvas.shape, labels))
    for label in labels:
        label.draw(canvas)
    return canvas


def _corners(box: np.ndarray, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and the last pixel inside a box of continuous edges."""
    height, width = shape[:2]
    x0, y0, x1, y1 = (float(v) for v in box)
    first = (min(max(round(x0), 0), width - 1), min(max(round(y0), 0), height - 1))
    last = (min(max(round(x1) - 1, first[0]), width - 1),
            min(max(round(y1) - 1, first[1]), height - 1))
    return first, last


@dataclass(frozen=True)
class _Label:
    """A text on a filled field; ``x``, ``y`` is the field's upper left pixel."""

    text: str
    colour: tuple[int, int, int]
    x: int
    y: int
    width: int
    height: int
    scale: float
    stroke: int
    margin: int
    baseline: int  # of the text, below ``y``

    @classmethod
    def beside(cls, box: np.ndarray, text: str, colour: tuple[int, int, int],
               shape: tuple[int, ...], others: Sequence[_Label]) -> _Label:
        """Place a text above the box, or at its other edges where the image ends.

        A place that covers none of ``others`` is preferred, so that every label of a group of
        objects can be read.
        """
        height, width = shape[:2]
        text = printable(text)  # OpenCV crashes on surrogates
        scale = max(0.4, min(height, width) / 1000)
        stroke = max(1, round(scale * 1.6))
        (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, stroke)
        margin = max(2, round(text_height / 4))
        room = width - 2 * margin
        if text_width > room:  # a very narrow image: smaller, but still readable
            scale = max(0.25, scale * room / text_width)
            stroke = 1
            (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, stroke)
        size = text_width + 2 * margin, text_height + below + 2 * margin
        (x0, y0), (x1, y1) = _corners(box, shape)
        right, bottom = max(0, width - size[0]), max(0, height - size[1])
        left, end = min(x0, right), min(max(0, x1 + 1 - size[0]), right)
        above = [y0 - size[1]] if y0 >= size[1] else []
        under = [y1 + 1] if y1 + 1 <= bottom else []
        places = [(x, y) for y in (*above, min(y0, bottom), *under,
                                   max(0, min(y1 + 1 - size[1], bottom))) for x in (left, end)]
        # Of thousands of boxes nobody reads the labels, and comparing all takes minutes.
        others = others[:_AVOIDED]
        free = (at for at in places if not any(other.meets(*at, *size) for other in others))
        x, y = next(free, places[0])
        return cls(text, colour, x, y, *size, scale, stroke, margin, margin + text_height)

    def meets(self, x: int, y: int, width: int, height: int) -> bool:
        """Return whether the fields have pixels in common."""
        return (x < self.x + self.width and self.x < x + width
                and y < self.y + self.height and self.y < y + height)

    def draw(self, canvas: np.ndarray) -> None:
        """Draw into uint8 (H, W, 3) RGB, in place."""
        last = (min(self.x + self.width, canvas.shape[1]) - 1,
                min(self.y + self.height, canvas.shape[0]) - 1)
        cv2.rectangle(canvas, (self.x, self.y), last, self.colour, cv2.FILLED)
        # Black on light and white on dark fields; the weights are those of luma, ITU-R BT.601.
        r, g, b = self.colour
        ink = (0, 0, 0) if 0.299 * r + 0.587 * g + 0.114 * b > 110 else (255, 255, 255)
        cv2.putText(canvas, self.text, (self.x + self.margin, self.y + self.baseline), _FONT,
                    self.scale, ink, self.stroke, cv2.LINE_AA)


def _dashed(canvas: np.ndarray, corners: tuple[tuple[int, int], tuple[int, int]],
            thickness: int, colour: tuple[int, int, int] = _TRUTH_COLOUR) -> None:
    """Draw a dashed rectangle on a dark line, so that it is visible on white, too."""
    (x0, y0), (x1, y1) = corners
    dash = 4 * thickness + 2
    for (ax, ay), (bx, by) in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)),
                               ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
        cv2.line(canvas, (ax, ay), (bx, by), (40, 40, 40), thickness)
        length = max(abs(bx - ax), abs(by - ay))
        for start in range(0, length, 2 * dash):
            a, b = start / length, min(start + dash, length) / length
            cv2.line(canvas, (round(ax + a * (bx - ax)), round(ay + a * (by - ay))),
                     (round(ax + b * (bx - ax)), round(ay + b * (by - ay))), colour,
                     thickness)
