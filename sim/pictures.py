"""Drives to look at: the camera's view with boxes, ids and ranges, and the course from above."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from sim import model
from sim.episode import DISTANCE, Drive, Moment
from sim.figures import Match, matches
from ssd_perception.viz.drawing import class_colour
from ssd_perception.viz.video import write_video

FPS = 10.0
PLAN_SIDE = 480  # pixels; the plan stands beside the camera's view
_SCALE, _LEFT, _AHEAD = 92.0, 2.6, 4.7  # pixels per metre, metres beside and ahead of the start
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GROUND, _TRUE, _WAY, _INK = (244, 243, 240), (120, 120, 120), (60, 110, 190), (40, 40, 40)
_CLASSES = ('cone', 'cube')


def write_drive_video(path: Path, drives: Sequence[Drive]) -> None:
    """Write all drives, one after the other, as WebM; each one's end stays for a second."""
    def images() -> Iterator[np.ndarray]:
        for drive in drives:
            last = np.zeros((model.HEIGHT, model.WIDTH + PLAN_SIDE, 3), np.uint8)
            for last in drive_images(drive):
                yield last
            for _ in range(round(FPS)):
                yield last
    write_video(path, images(), FPS)


def drive_images(drive: Drive) -> Iterator[np.ndarray]:
    """Yield what ``drive_image`` returns for each answered image."""
    return (drive_image(drive, k) for k in range(len(drive.moments)))


def drive_image(drive: Drive, k: int) -> np.ndarray:
    """Return uint8 (HEIGHT, WIDTH + PLAN_SIDE, 3) RGB: the k-th answered image, and the plan."""
    moment = drive.moments[k]
    found = matches(drive, moment)
    way = [past.pose[:2] for past in drive.moments[:k + 1]]
    end = drive if k + 1 == len(drive.moments) else None
    return np.concatenate([_camera_view(moment, found), _plan(drive, moment, found, way, end)],
                          axis=1)


def _camera_view(moment: Moment, found: Sequence[Match]) -> np.ndarray:
    """Draw boxes as published, with the id and the range of those that have a position."""
    bgr = cv2.imdecode(np.frombuffer(moment.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None  # encoded here
    canvas = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    ranges = {match.track: match.range_m for match in found}
    assert moment.detections is not None
    # the nearest last, so that its label can be read
    for detection in sorted(moment.detections.detections, key=lambda d: d.bbox.size_y):
        name, box = detection.results[0].hypothesis.class_id, detection.bbox
        colour = _colour(name)
        x, y = box.center.position.x, box.center.position.y
        low = round(x - box.size_x / 2), round(y - box.size_y / 2)
        cv2.rectangle(canvas, low, (round(x + box.size_x / 2), round(y + box.size_y / 2)), colour,
                      2)
        known = f' {ranges[detection.id]:.2f} m' if detection.id in ranges else ''
        _label(canvas, f'{name} #{detection.id}{known}', low, colour)
    return canvas


def _label(canvas: np.ndarray, text: str, at: tuple[int, int],
           colour: tuple[int, int, int]) -> None:
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.5, 1)
    x, y = int(np.clip(at[0], 0, model.WIDTH - width - 6)), max(at[1], height + 8)
    cv2.rectangle(canvas, (x, y - height - 8), (x + width + 6, y), colour, cv2.FILLED)
    ink = (0, 0, 0) if sum(colour) > 330 else (255, 255, 255)
    cv2.putText(canvas, text, (x + 3, y - 5), _FONT, 0.5, ink, 1, cv2.LINE_AA)


def _plan(drive: Drive, moment: Moment, found: Sequence[Match], way: Sequence[tuple[float, float]],
          end: Drive | None) -> np.ndarray:
    """Draw the course from above: true things filled, estimated positions as rings."""
    canvas = np.full((PLAN_SIDE, PLAN_SIDE, 3), _GROUND, np.uint8)
    for metre in range(-2, 6):
        cv2.line(canvas, _pixel(metre, -3), _pixel(metre, 3), (225, 224, 220), 1)
        cv2.line(canvas, _pixel(-1, metre), _pixel(6, metre), (225, 224, 220), 1)
    right = moment.places[0]
    cv2.circle(canvas, _pixel(*right), round(DISTANCE * _SCALE), (200, 200, 200), 1, cv2.LINE_AA)
    for thing, place in zip(drive.course.things, moment.places):
        colour = _colour(thing.class_name)
        if thing.class_name == 'cone':
            cv2.circle(canvas, _pixel(*place), round(thing.half_width * _SCALE), colour,
                       cv2.FILLED, cv2.LINE_AA)
        else:
            cv2.fillPoly(canvas, [_square(place, thing.half_width, thing.yaw)], colour,
                         cv2.LINE_AA)
    if len(way) > 1:
        cv2.polylines(canvas, [np.array([_pixel(*at) for at in way])], False, _WAY, 2, cv2.LINE_AA)
    _rover(canvas, moment.pose)
    for match in found:
        at = _pixel(*match.xy)
        cv2.circle(canvas, at, 9, _INK, 2, cv2.LINE_AA)
        cv2.putText(canvas, match.track, (at[0] + 11, at[1] + 5), _FONT, 0.5, _INK, 1, cv2.LINE_AA)
    seconds = (moment.stamp_ns - drive.moments[0].stamp_ns) / 1e9
    _text(canvas, f'course {drive.course.seed}: {drive.course.kind}', 22)
    _text(canvas, f'{seconds:.1f} s', 44)
    if end is not None:
        _text(canvas, f'{"arrived" if not end.failure else "failed"}: {end.distance:.2f} m before '
              'the cone', 66)
    _text(canvas, 'filled: true, rings: estimated, with id', PLAN_SIDE - 12)
    return canvas


def _rover(canvas: np.ndarray, pose: tuple[float, float, float]) -> None:
    x, y, heading = pose
    cos, sin = math.cos(heading), math.sin(heading)
    corners = [(-0.08, -model.HALF_WIDTH), (-0.08, model.HALF_WIDTH),
               (model.FRONT, 0.6 * model.HALF_WIDTH), (model.FRONT, -0.6 * model.HALF_WIDTH)]
    outline = [_pixel(x + cos * a - sin * b, y + sin * a + cos * b) for a, b in corners]
    cv2.fillPoly(canvas, [np.array(outline)], (50, 50, 55), cv2.LINE_AA)


def _square(place: np.ndarray, half: float, yaw: float) -> np.ndarray:
    reach = half * math.sqrt(2)
    return np.array([_pixel(place[0] + reach * math.cos(yaw + math.pi / 4 + k * math.pi / 2),
                            place[1] + reach * math.sin(yaw + math.pi / 4 + k * math.pi / 2))
                     for k in range(4)])


def _pixel(x: float, y: float) -> tuple[int, int]:
    """Return where a place is on the plan: ahead is up, left is left."""
    return round((_LEFT - y) * _SCALE), round((_AHEAD - x) * _SCALE)


def _colour(name: str) -> tuple[int, int, int]:
    return class_colour(_CLASSES.index(name) if name in _CLASSES else len(_CLASSES))


def _text(canvas: np.ndarray, text: str, y: int) -> None:
    cv2.putText(canvas, text, (10, y), _FONT, 0.5, _INK, 1, cv2.LINE_AA)
