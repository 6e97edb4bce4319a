"""Rooms: floors, walls with their furniture, windows, lamps, and the light outside."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from demo import clutter, materials
from demo.palette import Colour
from demo.shape import Shape

At = Callable[[float, float, float], tuple[float, float, float]]
FLOORS = {
    'speckled_tiles': lambda rng: materials.tiles(
        _tone(rng, (0.42, 0.40, 0.36)), _tone(rng, (0.14, 0.11, 0.09)),
        rng.choice((0.3, 0.33, 0.4)), rng.uniform(0.16, 0.4), rng.uniform(0.2, 0.8),
        rng.uniform(0, 1.6)),
    'white_tiles': lambda rng: materials.tiles(
        _tone(rng, (0.62, 0.60, 0.56)), _tone(rng, (0.3, 0.28, 0.26)), rng.choice((0.45, 0.6)),
        rng.uniform(0.08, 0.25), rng.uniform(0.0, 0.3), rng.uniform(0, 1.6)),
    'grey_concrete': lambda rng: materials.concrete(
        _tone(rng, (0.25, 0.245, 0.235)), rng.uniform(0.3, 0.65), 0.0, rng.uniform(0, 1.6)),
    'grey_slabs': lambda rng: materials.concrete(
        _tone(rng, (0.22, 0.21, 0.20)), rng.uniform(0.3, 0.5), rng.uniform(0.9, 1.5),
        rng.uniform(0, 1.6)),
    'oak': lambda rng: materials.wood(
        _tone(rng, (0.42, 0.25, 0.12)), rng.uniform(0.2, 0.45), (1.2, rng.uniform(0.07, 0.19)),
        rng.uniform(0, 1.6)),
    'carpet': lambda rng: materials.carpet(
        _tone(rng, ((0.14, 0.14, 0.15), (0.10, 0.12, 0.16), (0.2, 0.16, 0.12))[rng.integers(3)])),
    # Kept for validation: floors that no training image shows.
    'checker': lambda rng: materials.tiles(
        _tone(rng, (0.5, 0.48, 0.44)), (0.1, 0.1, 0.1), 0.3, 0.25, 0.1, rng.uniform(0, 1.6),
        _tone(rng, (0.12, 0.16, 0.14))),
    'terracotta': lambda rng: materials.tiles(
        _tone(rng, (0.36, 0.15, 0.08)), (0.3, 0.26, 0.22), 0.2, 0.4, 0.2, rng.uniform(0, 1.6)),
    'dark_wood': lambda rng: materials.wood(
        _tone(rng, (0.15, 0.08, 0.045)), 0.3, (0.9, 0.09), rng.uniform(0, 1.6)),
}
TRAIN_FLOORS = ('speckled_tiles', 'white_tiles', 'grey_concrete', 'grey_slabs', 'oak', 'carpet')
VAL_FLOORS = ('checker', 'terracotta', 'dark_wood', 'grey_slabs', 'speckled_tiles')

WALL_COLOURS = ((0.72, 0.70, 0.65), (0.55, 0.56, 0.56), (0.62, 0.55, 0.43), (0.35, 0.42, 0.45),
                (0.70, 0.72, 0.74), (0.45, 0.20, 0.14), (0.25, 0.35, 0.28))


def _tone(rng: np.random.Generator, colour: Any) -> Colour:
    """Shift a colour a little in brightness and warmth."""
    warm = rng.normal(0, 0.06)
    colour = np.array(colour) * rng.uniform(0.75, 1.25) * (1 + warm, 1, 1 - warm)
    return tuple(np.clip(colour, 0.005, 0.85))


def floor(material: bpy.types.Material, corners: Any, z: float = 0.0) -> bpy.types.Object:
    """Lay a floor polygon; corners are (x, y)."""
    shape = Shape()
    shape.sheet([(x, y, z) for x, y in corners], material)
    return shape.build('floor')


def wall_material(rng: np.random.Generator) -> bpy.types.Material:
    """Paint, wood panelling, brick-like tiles or concrete."""
    kind = rng.choice(('paint', 'paint', 'paint', 'wood', 'tiles', 'concrete'))
    if kind == 'wood':
        return materials.wood(_tone(rng, (0.36, 0.2, 0.09)), 0.45, (2.5, 0.12), math.pi / 2)
    if kind == 'concrete':
        return materials.concrete(_tone(rng, (0.4, 0.4, 0.38)), 0.7)
    colour = _tone(rng, WALL_COLOURS[rng.integers(len(WALL_COLOURS))])
    return materials.plain(colour, 0.35 if kind == 'tiles' else 0.8, dirt=0.05)


def wall(rng: np.random.Generator, start: Any, end: Any, daylight: float, height: float = 2.8,
         fittings: Sequence[str] | None = None) -> bpy.types.Object:
    """Raise a wall from start to end (x, y), furnished on its left-hand side.

    `fittings` names what may stand there (see FITTINGS); windows shine with `daylight`.
    """
    start, end = np.array(start, float), np.array(end, float)
    length = float(np.linalg.norm(end - start))
    along = (end - start) / length
    inward = np.array([-along[1], along[0]])
    yaw = math.atan2(along[1], along[0])
    shape = Shape()

    def at(distance: float, out: float, z: float) -> tuple[float, float, float]:
        return (*(start + along * distance + inward * out), z)

    # The sides turned away from the room are never seen; the thickness stops light leaks.
    shape.box(at(length / 2, -0.05, height / 2), (length + 0.2, 0.1, height), wall_material(rng),
              yaw)
    skirting = materials.plain(_tone(rng, (0.3, 0.25, 0.2)), 0.5)
    shape.box(at(length / 2, 0.008, 0.05), (length, 0.016, 0.10), skirting, yaw)
    choice = [FITTINGS[name] for name in fittings or ANY_FITTING]
    place = rng.uniform(0.1, 0.6)
    while place < length - 0.5:
        width = rng.uniform(0.7, 1.8)
        if place + width < length - 0.1 and rng.uniform() < 0.85:
            choice[rng.integers(len(choice))](rng, shape, at, yaw, place, width, daylight)
        place += width + abs(rng.normal(0.1, 0.4))
    return shape.build('wall', bevel_m=0.003)


def _door(rng: np.random.Generator, shape: Shape, at: At, yaw: float, place: float, width: float,
          _: float) -> None:
    leaf = materials.plain(_tone(rng, ((0.04, 0.2, 0.22), (0.3, 0.16, 0.07), (0.5, 0.5, 0.48),
                                       (0.06, 0.07, 0.09))[rng.integers(4)]), 0.4)
    trim = materials.plain(_tone(rng, (0.5, 0.45, 0.4)), 0.5)
    width = min(width, 1.0)
    shape.box(at(place + width / 2, 0.02, 1.03), (width, 0.04, 2.06), trim, yaw)
    shape.box(at(place + width / 2, 0.03, 1.0), (width - 0.12, 0.05, 2.0), leaf, yaw)
    for z in (0.35, 0.75, 1.35):
        shape.box(at(place + width / 2, 0.06, z), (width - 0.35, 0.02, 0.25), trim, yaw)


def _cabinet(rng: np.random.Generator, shape: Shape, at: At, yaw: float, place: float,
             width: float, _: float) -> None:
    front = materials.plain(_tone(rng, ((0.05, 0.055, 0.06), (0.5, 0.48, 0.44), (0.2, 0.12, 0.06),
                                        (0.08, 0.13, 0.2))[rng.integers(4)]), 0.5)
    edge = materials.wood(_tone(rng, (0.45, 0.27, 0.13)), 0.5, (2.0, 0.4))
    height, depth = rng.uniform(0.4, 1.5), rng.uniform(0.3, 0.5)
    shape.box(at(place + width / 2, depth / 2, height / 2), (width, depth, height), edge, yaw)
    shape.box(at(place + width / 2, depth, height / 2 + 0.03), (width - 0.06, 0.02, height - 0.14),
              front, yaw)


def _window(rng: np.random.Generator, shape: Shape, at: At, yaw: float, place: float, width: float,
            daylight: float) -> None:
    if daylight <= 0:
        _poster(rng, shape, at, yaw, place, width, daylight)
        return
    low = rng.choice((0.1, 0.8, 0.9))
    colour = np.array((0.75, 0.88, 1.0)) if rng.uniform() < 0.7 else np.array((1.0, 0.9, 0.75))
    pane = materials.light_panel(tuple(colour), daylight)
    bars = materials.plain(_tone(rng, ((0.04, 0.28, 0.30), (0.6, 0.6, 0.6), (0.05, 0.05, 0.05))[
        rng.integers(3)]), 0.4)
    shape.box(at(place + width / 2, 0.004, (low + 2.3) / 2), (width, 0.02, 2.3 - low), pane, yaw)
    for k in range(3):
        shape.box(at(place + width * k / 2, 0.025, (low + 2.3) / 2), (0.05, 0.05, 2.3 - low), bars,
                  yaw)
    for z in np.linspace(low, 2.3, 4):
        shape.box(at(place + width / 2, 0.024, z), (width, 0.05, 0.05), bars, yaw)


def _shelf(rng: np.random.Generator, shape: Shape, at: At, yaw: float, place: float, width: float,
           _: float) -> None:
    board = materials.plain(_tone(rng, (0.35, 0.33, 0.3)), 0.5)
    for z in (0.08, 0.5, 0.92, 1.34, 1.76):
        shape.box(at(place + width / 2, 0.2, z), (width, 0.4, 0.025), board, yaw)
        x = place + 0.1
        while x < place + width - 0.25:
            size = rng.uniform((0.08, 0.12, 0.08), (0.3, 0.3, 0.36))
            if rng.uniform() < 0.7:
                shape.box(at(x + size[0] / 2, 0.2, z + 0.012 + size[2] / 2), size,
                          materials.plain(clutter.random_colour(rng), 0.6), yaw)
            x += size[0] + 0.03
    for x in (place, place + width):
        shape.box(at(x, 0.2, 0.9), (0.03, 0.4, 1.8), board, yaw)


def _radiator(rng: np.random.Generator, shape: Shape, at: At, yaw: float, place: float,
              width: float, _: float) -> None:
    paint = materials.plain(_tone(rng, (0.7, 0.7, 0.68)), 0.4)
    for x in np.arange(place, place + width, 0.06):
        shape.box(at(x, 0.07, 0.42), (0.045, 0.09, 0.6), paint, yaw)
    shape.tube([at(place, 0.07, 0.15), at(place + width, 0.07, 0.15)], 0.015, paint)


def _poster(rng: np.random.Generator, shape: Shape, at: At, yaw: float, place: float, width: float,
            _: float) -> None:
    z = rng.uniform(0.9, 1.6)
    shape.box(at(place + width / 2, 0.012, z), (width * 0.7, 0.02, 0.7),
              materials.plain(clutter.random_colour(rng, 0.8), 0.5), yaw)
    shape.box(at(place + width / 2, 0.016, z + 0.05), (width * 0.5, 0.02, 0.35),
              materials.plain((0.7, 0.7, 0.68), 0.6), yaw)


def _crates(rng: np.random.Generator, shape: Shape, at: At, yaw: float, place: float, width: float,
            _: float) -> None:
    z = 0.0
    for _ in range(rng.integers(1, 4)):
        size = rng.uniform((0.3, 0.25, 0.18), (0.6, 0.4, 0.4))
        shape.box(at(place + width / 2, 0.26, z + size[2] / 2), size,
                  materials.plain(clutter.random_colour(rng, 0.5), 0.6), yaw + rng.normal(0, 0.08))
        z += size[2]


FITTINGS = {'door': _door, 'cabinet': _cabinet, 'window': _window, 'shelf': _shelf,
            'radiator': _radiator, 'poster': _poster, 'crates': _crates}
ANY_FITTING = ('door', 'cabinet', 'cabinet', 'window', 'window', 'shelf', 'radiator', 'poster',
               'crates')


def world(colour: Colour, strength: float) -> None:
    """Set the even light from all around, the sum of what the modelled lamps leave out."""
    scene_world = bpy.data.worlds.new('world')
    scene_world.use_nodes = True
    node = scene_world.node_tree.nodes['Background']
    node.inputs['Color'].default_value = (*colour, 1)
    node.inputs['Strength'].default_value = strength
    scene_world.cycles.sampling_method = 'NONE'  # even light needs no light sampling
    bpy.context.scene.world = scene_world


def sky(zenith: Colour, horizon: Colour, below: Colour) -> None:
    """Surround the scene with a gradient of three linear colours, which glossy things mirror."""
    gradient = bpy.data.worlds.new('sky')
    gradient.use_nodes = True
    tree = gradient.node_tree
    background = tree.nodes['Background']
    where = tree.nodes.new('ShaderNodeTexCoord')
    split = tree.nodes.new('ShaderNodeSeparateXYZ')
    tree.links.new(where.outputs['Generated'], split.inputs[0])
    ramp = tree.nodes.new('ShaderNodeValToRGB')
    scale = tree.nodes.new('ShaderNodeMapRange')
    scale.inputs[1].default_value, scale.inputs[2].default_value = -1.0, 1.0
    tree.links.new(split.outputs['Z'], scale.inputs[0])
    tree.links.new(scale.outputs[0], ramp.inputs[0])
    elements = ramp.color_ramp.elements
    for place, colour in ((0.0, below), (0.48, below), (0.52, horizon), (1.0, zenith)):
        element = elements.new(place) if place not in (0.0, 1.0) else elements[int(place)]
        element.color = (*colour, 1.0)
    tree.links.new(ramp.outputs[0], background.inputs['Color'])
    gradient.cycles.sampling_method = 'NONE'
    bpy.context.scene.world = gradient


def lamp(position: tuple[float, float, float], size_m: tuple[float, float], watts: float,
         colour: Colour, aim: tuple[float, float, float] = (0, 0, -1)) -> bpy.types.Object:
    """Hang a rectangular lamp; its own face shows in reflections but not to the camera."""
    data = bpy.data.lights.new('lamp', 'AREA')
    data.shape, data.size, data.size_y = 'RECTANGLE', *size_m
    data.energy, data.color = watts, colour
    light = bpy.data.objects.new('lamp', data)
    light.location = position
    light.rotation_euler = Vector(aim).to_track_quat('-Z', 'Y').to_euler()
    light.visible_camera = False
    bpy.context.scene.collection.objects.link(light)
    return light


def sun_through_windows(rng: np.random.Generator, middle: tuple[float, float], strength: float,
                        elevation: float, azimuth: float) -> bpy.types.Object:
    """Let the sun in through a row of holes: bright patches with bars across the floor."""
    data = bpy.data.lights.new('sun', 'SUN')
    data.energy, data.angle, data.color = strength, math.radians(0.8), (1.0, 0.87, 0.7)
    light = bpy.data.objects.new('sun', data)
    beam = Vector((math.cos(elevation) * math.cos(azimuth),
                   math.cos(elevation) * math.sin(azimuth), -math.sin(elevation)))
    light.rotation_euler = beam.to_track_quat('-Z', 'Y').to_euler()
    bpy.context.scene.collection.objects.link(light)
    # A shutter high above the room with panes cut out of it; only shadows know of it.
    shutter, z = Shape(), 3.2
    cover = materials.plain((0.1, 0.1, 0.1))
    shift = np.array(middle) - np.array(beam[:2]) * z / math.sin(elevation)
    w, d, bar = rng.uniform(0.5, 1.2), rng.uniform(0.8, 2.0), 0.07
    count = int(rng.integers(1, 4))
    edges_x = sorted([-40.0, 40.0] + [k * (w + bar) + s for k in range(count) for s in (0, w)])
    for left, right in zip(edges_x[::2], edges_x[1::2]):
        shutter.sheet([(left, -40, z), (right, -40, z), (right, 40, z), (left, 40, z)], cover)
    for low, high in ((-40, 0), (d / 2, d / 2 + bar), (d + bar, 40)):
        shutter.sheet([(0, low, z), (edges_x[-2], low, z), (edges_x[-2], high, z), (0, high, z)],
                      cover)
    thing = shutter.build('shutter')
    thing.location = (shift[0], shift[1], 0)
    thing.rotation_euler = (0, 0, rng.uniform(0, 1.5))
    for ray in ('camera', 'diffuse', 'glossy', 'transmission'):
        setattr(thing, 'visible_' + ray, False)
    return light
