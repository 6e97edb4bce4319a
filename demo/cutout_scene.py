"""One object alone in its light: a cropped image with an alpha channel, and its box."""

from __future__ import annotations

import math
import os
import tempfile
from typing import NamedTuple

import bpy
import numpy as np
from mathutils import Vector

from demo import materials, renderer, surroundings
from demo.shape import Shape

LONGER_SIDE_PX = (100, 260)
LIGHTS = ('sun', 'overcast', 'lamps', 'flash')
LIGHT_SHARES = (0.36, 0.26, 0.32, 0.06)
FRONTAL = 0.22  # radians from a face's normal within which the faces beside it hardly show
FAINT = 6 / 255  # alpha below this is cut away


class CutOut(NamedTuple):
    """Straight (not premultiplied) sRGB with alpha, and the box of the object in it."""

    rgba: np.ndarray  # uint8 (H, W, 4)
    xyxy: tuple[float, float, float, float]  # continuous pixel edges; a shadow lies outside


def render(rng: np.random.Generator, thing: bpy.types.Object, scene: bpy.types.Scene,
           size_m: float, askew: bool = False) -> CutOut:
    """Light `thing`, look at it and render it.

    Args:
        size_m: about the longest side of `thing`.
        askew: never look straight at one face; a cube of which one face is seen is a panel.
    """
    shadow = rng.uniform() < 0.3
    yaw = rng.uniform(0, 2 * math.pi)
    if askew:
        quarter, part = divmod(yaw, math.pi / 2)
        yaw = quarter * math.pi / 2 + min(max(part, FRONTAL), math.pi / 2 - FRONTAL)
    thing.rotation_euler = (0, 0, yaw)
    _ground(rng, scene, size_m, shadow)
    exposure = _light(rng, size_m) * math.exp(rng.normal(0, 0.32))
    box = _frame(rng, scene, thing, size_m, shadow)
    linear = _render_rgba(scene)
    return _finish(rng, linear, exposure, box)


def _ground(rng: np.random.Generator, scene: bpy.types.Scene, size_m: float,
            shadow: bool) -> None:
    """Lay a ground that throws its light back and is not seen itself, its shadow perhaps."""
    tone = rng.uniform(0.08, 0.5)
    warm = rng.normal(0, 0.12)
    shape, far = Shape(), 12 * size_m
    shape.sheet([(-far, -far, 0), (far, -far, 0), (far, far, 0), (-far, far, 0)],
                materials.plain((tone * (1 + warm), tone, tone * (1 - warm)), 0.9))
    ground = shape.build('ground')
    if shadow:
        ground.is_shadow_catcher = True
    else:
        ground.visible_camera = False
    scene.render.film_transparent = True


def _lamp(kind: str, energy: float, colour: tuple, position: tuple, size: float) -> None:
    data = bpy.data.lights.new('lamp', kind)
    data.energy, data.color = energy, colour
    if kind == 'SUN':
        data.angle = size
    else:
        data.shape, data.size = 'SQUARE', size
    light = bpy.data.objects.new('lamp', data)
    light.location = position
    light.rotation_euler = Vector([-v for v in position]).to_track_quat('-Z', 'Y').to_euler()
    light.visible_camera = False
    bpy.context.scene.collection.objects.link(light)


def _light(rng: np.random.Generator, size_m: float) -> float:
    """Light the scene; return the gain that shows a white sheet in this light as white."""
    kind = str(rng.choice(LIGHTS, p=LIGHT_SHARES))
    azimuth = rng.uniform(0, 2 * math.pi)
    fill = {'sun': rng.uniform(0.25, 0.8), 'overcast': 1.0, 'lamps': rng.uniform(0.12, 0.6),
            'flash': rng.uniform(0.05, 0.3)}[kind]
    warm = rng.uniform(0, 1)
    lamp_colour = tuple(warm * np.array((1.0, 0.72, 0.45))
                        + (1 - warm) * np.array((0.95, 0.98, 1.0)))
    blue = np.array((0.75, 0.88, 1.15)) if kind in ('sun', 'overcast') else np.array(lamp_colour)
    dim = 1.0 if kind in ('sun', 'overcast') else 0.7
    surroundings.sky(fill * dim * blue, np.full(3, fill * rng.uniform(0.6, 1.0)),
                     fill * rng.uniform(0.08, 0.4) * np.array((1.0, 0.93, 0.85)))
    irradiance = 0.8 * math.pi * fill
    if kind == 'sun':
        elevation = math.radians(rng.uniform(15, 72))
        strength = rng.uniform(1.5, 5.0)
        direction = (math.cos(azimuth) * math.cos(elevation),
                     math.sin(azimuth) * math.cos(elevation), math.sin(elevation))
        _lamp('SUN', strength, (1.0, rng.uniform(0.82, 0.96), rng.uniform(0.62, 0.9)), direction,
              math.radians(rng.uniform(0.5, 4)))
        irradiance += strength
    elif kind in ('lamps', 'flash'):
        for _ in range(1 if kind == 'flash' else rng.integers(1, 4)):
            distance = size_m * rng.uniform(3, 9)
            turn = -math.pi / 2 + rng.normal(0, 0.3) if kind == 'flash' else rng.uniform(0, 6.28)
            high = math.radians(rng.uniform(5, 30) if kind == 'flash' else rng.uniform(25, 85))
            strength = rng.uniform(0.8, 3.0)
            _lamp('AREA', strength * math.pi * distance**2, lamp_colour,
                  tuple(distance * np.array((math.cos(turn) * math.cos(high),
                                             math.sin(turn) * math.cos(high), math.sin(high)))),
                  distance * rng.uniform(0.05, 0.5))
            irradiance += 0.6 * strength
    return math.pi / irradiance


def _frame(rng: np.random.Generator, scene: bpy.types.Scene, thing: bpy.types.Object,
           size_m: float, shadow: bool) -> tuple[float, float, float, float]:
    """Point the camera and cut the view to the object; return the object's box in it."""
    camera = renderer.add_camera(scene, 100.0)
    kind = rng.choice(('rover', 'hand', 'down'), p=(0.42, 0.40, 0.18))
    height = {'rover': rng.uniform(0.12, 0.6), 'hand': rng.uniform(0.9, 1.7),
              'down': rng.uniform(0.8, 1.7)}[kind]
    near = max(1.6 * size_m, 0.25)
    away = near * rng.uniform(0.7, 1.5) if kind == 'down' else near * math.exp(rng.uniform(0, 2.5))
    scene.view_layers[0].update()
    points = _vertices(thing)
    middle = (points.min(0) + points.max(0)) / 2
    # Small things are looked at from as near as large ones from afar.
    height = max(height * min(1.0, (size_m / 0.3)**0.7), middle[2] * 0.4)
    position = np.array((middle[0], middle[1] - away, height))
    pitch = math.atan2(position[2] - middle[2], away)
    renderer.set_pose(camera, position, 0.0, pitch, rng.normal(0, 0.05))
    scene.view_layers[0].update()
    inverse = np.linalg.inv(np.array(camera.matrix_world))
    seen = points @ inverse[:3, :3].T + inverse[:3, 3]
    flat = seen[:, :2] / -seen[:, 2:]
    low, high = flat.min(0), flat.max(0)
    focal = rng.uniform(*LONGER_SIDE_PX) / max(high - low)
    size = (high - low) * focal
    margin = 0.3 * size.max() if shadow else 2.0
    width, height_px = (int(math.ceil(v + 2 * margin)) for v in size)
    scene.render.resolution_x, scene.render.resolution_y = width, height_px
    centre = (low + high) / 2 * focal
    data = camera.data
    data.sensor_fit, data.lens = 'HORIZONTAL', focal * renderer.SENSOR_MM / width
    data.shift_x, data.shift_y = centre[0] / width, centre[1] / width
    x0, y0 = (width - size[0]) / 2, (height_px - size[1]) / 2
    return x0, y0, x0 + size[0], y0 + size[1]


def _vertices(thing: bpy.types.Object) -> np.ndarray:
    """Return the mesh's vertices in world coordinates (n, 3)."""
    points = np.empty(len(thing.data.vertices) * 3, np.float32)
    thing.data.vertices.foreach_get('co', points)
    world = np.array(thing.matrix_world)
    return points.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]


def _render_rgba(scene: bpy.types.Scene) -> np.ndarray:
    """Render premultiplied linear RGBA float32 (H, W, 4)."""
    scene.render.image_settings.color_mode = 'RGBA'
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = os.path.join(folder, 'render.exr')
        bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        width, height = image.size
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
    return np.ascontiguousarray(pixels.reshape(height, width, 4)[::-1])


def _finish(rng: np.random.Generator, linear: np.ndarray, exposure: float,
            box: tuple[float, float, float, float]) -> CutOut:
    """Develop the image and cut away what is empty."""
    alpha = np.clip(linear[..., 3:], 0, 1)
    light = linear[..., :3] / np.maximum(alpha, 1e-4) * exposure
    light = light * np.exp(rng.normal(0, 0.06, 3))
    light = np.maximum(light, 0) / (1 + light**4)**0.25
    srgb = np.where(light <= 0.0031308, 12.92 * light,
                    1.055 * np.maximum(light, 1e-6)**(1 / 2.4) - 0.055)
    curve = srgb * srgb * (3 - 2 * srgb)
    srgb = np.clip(srgb + rng.uniform(0, 0.5) * (curve - srgb), 0, 1)
    seen = alpha[..., 0] > FAINT
    if not seen.any():
        raise ValueError('nothing of the object is in the image')
    # Scaling mixes neighbours: what cannot be seen takes the object's mean colour.
    srgb[~seen] = srgb[seen].mean(0)
    rows, columns = np.nonzero(seen.any(1))[0], np.nonzero(seen.any(0))[0]
    top, left = rows[0], columns[0]
    rgba = np.concatenate([srgb, alpha], -1)[top:rows[-1] + 1, left:columns[-1] + 1]
    height, width = rgba.shape[:2]
    x0, y0, x1, y1 = box
    inside = (max(0.0, x0 - left), max(0.0, y0 - top), min(width, x1 - left),
              min(height, y1 - top))
    return CutOut(np.rint(rgba * 255).astype(np.uint8), tuple(float(v) for v in inside))
