"""Ground-truth boxes: the tight box around the visible pixels of every cone and cube."""

from __future__ import annotations

from typing import NamedTuple

import bpy
import cv2
import numpy as np
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

MIN_HEIGHT_PX = 12.0
MIN_WIDTH_PX = 6.0
MIN_VISIBLE = 0.2  # of the silhouette, whether hidden by others or by the image edge
PLAIN_AREA_PX = 1500.0  # this much in view is plain to see, however small a part of the object


class Box(NamedTuple):
    """One object; xyxy are pixels with continuous edges that start from 0.

    ``number`` is the same for the same object in all images of a scene, from 1.
    """

    label: str
    xyxy: tuple[float, float, float, float]
    number: int


def _silhouette_area_px(scene: bpy.types.Scene, camera: bpy.types.Object, thing: bpy.types.Object,
                        width: int, height: int) -> float:
    """Return the area of the whole object's outline, also of what lies outside the image.

    Cones and cubes are nearly convex, so the hull of the projected vertices is their outline.
    """
    vertices = np.empty(len(thing.data.vertices) * 3, np.float32)
    thing.data.vertices.foreach_get('co', vertices)
    points = []
    for corner in vertices.reshape(-1, 3)[::3]:
        x, y, depth = world_to_camera_view(scene, camera, thing.matrix_world @ Vector(corner))
        if depth > 0.02:
            points.append((x * width, (1 - y) * height))
    if len(points) < 3:
        return float('inf')
    return cv2.contourArea(cv2.convexHull(np.array(points, np.float32)))


def visible_boxes(scene: bpy.types.Scene, camera: bpy.types.Object,
                  targets: dict[bpy.types.Object, str], instances: np.ndarray,
                  oversampling: int = 2) -> list[Box]:
    """List a Box for each target (object -> label) that is visible enough in `instances`."""
    height, width = (n // oversampling for n in instances.shape)
    scene.view_layers[0].update()  # or the matrices are those of before the placing
    boxes = []
    for thing, label in targets.items():
        rows, columns = np.nonzero(instances == thing.pass_index)
        if not len(rows):
            continue
        x1, x2 = columns.min() / oversampling, (columns.max() + 1) / oversampling
        y1, y2 = rows.min() / oversampling, (rows.max() + 1) / oversampling
        area = len(rows) / oversampling**2
        if y2 - y1 < MIN_HEIGHT_PX or x2 - x1 < MIN_WIDTH_PX:
            continue
        if area < PLAIN_AREA_PX and area < MIN_VISIBLE * _silhouette_area_px(
                scene, camera, thing, width, height):
            continue
        boxes.append(Box(label, (float(x1), float(y1), float(x2), float(y2)),
                         thing.pass_index))
    return boxes
