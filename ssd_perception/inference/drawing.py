"""Draw detections into a picture so that they stay readable at every size."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np

from ssd_perception.core.detections import Detections

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_TRUTH_COLOUR = (255, 255, 255)
# Steps of the golden ratio around the colour circle keep any number of classes apart, and a
# class keeps its colour when others are added behind it. The start makes the first one orange.
_GOLDEN, _FIRST_HUE = 0.618034, 0.09


def class_colour(label: int) -> tuple[int, int, int]:
    """Return the RGB colour of a class, each 0 to 255; always the same for one label."""
    hue = (_FIRST_HUE + label * _GOLDEN) % 1.0
    return tuple(round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, 0.9, 1.0))


def draw_detections(image: np.ndarray, detections: Detections, class_names: Sequence[str],
                    truth: Detections | None = None) -> np.ndarray:
    """Return a copy of ``image`` with boxes and labels such as "cone 0.93".

    Args:
        image: uint8 (H, W, 3) RGB; not changed.
        detections: boxes in the image's pixels; the best score is drawn on top.
        class_names: names that the labels index into; a label beyond them is drawn as its
            number.
        truth: ground truth, drawn thin, dashed and white, without labels.
    """
    canvas = np.array(image, order='C')
    thickness = max(1, round(max(image.shape[:2]) / 400))
    for box in truth.xyxy if truth is not None else ():
        _dashed(canvas, _corners(box, image.shape), max(1, thickness // 2))
    # Detections come best first: backwards, the best one ends on top; and all labels come
    # after all boxes, so that no box crosses a label.
    order = range(len(detections) - 1, -1, -1)
    for i in order:
        low, high = _corners(detections.xyxy[i], image.shape)
        cv2.rectangle(canvas, low, high, class_colour(int(detections.labels[i])), thickness)
    for i in order:
        label = int(detections.labels[i])
        name = class_names[label] if label < len(class_names) else str(label)
        _label(canvas, detections.xyxy[i], f'{name} {detections.scores[i]:.2f}',
               class_colour(label))
    return canvas


def draw_truth(image: np.ndarray, truth: Detections, class_names: Sequence[str]) -> np.ndarray:
    """Return a copy of ``image`` with ground truth as dashed white boxes and class names.

    Args:
        image: uint8 (H, W, 3) RGB; not changed.
        truth: boxes in the image's pixels; scores are not shown.
        class_names: names that the labels index into.
    """
    canvas = draw_detections(image, Detections.empty(), class_names, truth)
    for box, label in zip(truth.xyxy, truth.labels):
        _label(canvas, box, class_names[label], class_colour(int(label)))
    return canvas


def _corners(box: np.ndarray, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and the last pixel inside a box of continuous edges."""
    height, width = shape[:2]
    x0, y0, x1, y1 = (float(v) for v in box)
    first = (min(max(round(x0), 0), width - 1), min(max(round(y0), 0), height - 1))
    last = (min(max(round(x1) - 1, first[0]), width - 1),
            min(max(round(y1) - 1, first[1]), height - 1))
    return first, last


def _label(canvas: np.ndarray, box: np.ndarray, text: str, colour: tuple[int, int, int]) -> None:
    """Write ``text`` on a filled field above the box, or inside it where the image ends."""
    height, width = canvas.shape[:2]
    scale = max(0.4, min(height, width) / 1000)
    stroke = max(1, round(scale * 1.6))
    (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, stroke)
    margin = max(2, round(text_height / 4))
    room = width - 2 * margin
    if text_width > room:  # a very narrow picture: smaller, but not beyond what can be read
        scale = max(0.25, scale * room / text_width)
        stroke = 1
        (text_width, text_height), below = cv2.getTextSize(text, _FONT, scale, stroke)
    field_width, field_height = text_width + 2 * margin, text_height + below + 2 * margin
    (x0, y0), _ = _corners(box, canvas.shape)
    x = max(0, min(x0, width - field_width))
    y = y0 - field_height if y0 >= field_height else min(y0, max(0, height - field_height))
    cv2.rectangle(canvas, (x, y), (min(x + field_width, width) - 1,
                                   min(y + field_height, height) - 1), colour, cv2.FILLED)
    # Black on light and white on dark fields; the weights are those of luma, ITU-R BT.601.
    light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 110
    cv2.putText(canvas, text, (x + margin, y + margin + text_height), _FONT, scale,
                (0, 0, 0) if light else (255, 255, 255), stroke, cv2.LINE_AA)


def _dashed(canvas: np.ndarray, corners: tuple[tuple[int, int], tuple[int, int]],
            thickness: int) -> None:
    """Draw a dashed rectangle, dark beneath, so that it shows on a white wall too."""
    (x0, y0), (x1, y1) = corners
    dash = 4 * thickness + 2
    for (ax, ay), (bx, by) in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)),
                               ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
        cv2.line(canvas, (ax, ay), (bx, by), (40, 40, 40), thickness)
        length = max(abs(bx - ax), abs(by - ay))
        for start in range(0, length, 2 * dash):
            a, b = start / length, min(start + dash, length) / length
            cv2.line(canvas, (round(ax + a * (bx - ax)), round(ay + a * (by - ay))),
                     (round(ax + b * (bx - ax)), round(ay + b * (by - ay))), _TRUTH_COLOUR,
                     thickness)
