"""A course and the rover as a MuJoCo model: XML, and the images that it refers to."""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

from sim import textures
from sim.course import Course, Thing

# The rover, metres. base_link lies on the floor below the middle of the axle.
WHEEL_RADIUS, TRACK = 0.07, 0.30
FRONT, HALF_WIDTH = 0.18, 0.17
CAMERA_X, CAMERA_HEIGHT, CAMERA_PITCH = 0.05, 0.33, 0.28
FIELD_OF_VIEW = 50.0  # degrees, from the top to the bottom of the image
WIDTH, HEIGHT = 640, 480
PHYSICS_STEP_S = 0.004

_ROOM = (-1.5, 6.0, 3.0)  # back, front, sides, metres
_FOOT = 0.02  # a cone's plate is as thick

_MODEL = """
<mujoco>
  <option timestep="{step}" integrator="implicitfast"/>
  <compiler angle="radian"/>
  <visual>
    <global offwidth="{width}" offheight="{height}"/>
    <quality shadowsize="1024" offsamples="0"/>
    <headlight ambient="{ambient} {ambient} {ambient}" diffuse="0.25 0.25 0.25" specular="0 0 0"/>
    <map znear="0.02" zfar="40"/>
  </visual>
  <asset>
    <texture name="floor" type="2d" file="floor.png"/>
    <texture name="wall" type="2d" file="wall.png"/>
    <texture name="sky" type="skybox" builtin="flat" rgb1="0.75 0.77 0.8" width="16" height="16"/>
    <material name="floor" texture="floor" texuniform="true" texrepeat="{repeat} {repeat}"
      specular="0.05" shininess="0.1"/>
    <material name="wall" texture="wall" texuniform="true" texrepeat="{repeat} {repeat}"
      specular="0"/>
    {assets}
  </asset>
  <worldbody>
    <light type="directional" dir="{light}" diffuse="{lamp} {lamp} {lamp}" specular="0.2 0.2 0.2"
      castshadow="true"/>
    <geom name="floor" type="plane" size="8 8 0.1" material="floor" friction="0.9 0.01 0.001"/>
    {walls}
    {things}
    {rover}
  </worldbody>
  <actuator>
    <velocity name="left" joint="left" kv="1.2" forcerange="-1.5 1.5"/>
    <velocity name="right" joint="right" kv="1.2" forcerange="-1.5 1.5"/>
  </actuator>
</mujoco>
"""

_ROVER = """
<body name="rover" pos="0 0 0" euler="0 0 {heading}">
  <freejoint/>
  <geom name="body" type="box" pos="0.05 0 0.13" size="0.13 0.11 0.05" mass="4"
    rgba="0.15 0.15 0.17 1"/>
  <geom name="caster" type="sphere" pos="0.13 0 0.03" size="0.03" mass="0.1"
    priority="1" friction="0.02 0.001 0.0001" rgba="0.1 0.1 0.1 1"/>
  <geom name="mast" type="box" pos="0.02 0 0.25" size="0.015 0.015 0.08" mass="0.2"
    rgba="0.2 0.2 0.2 1"/>
  <camera name="camera" pos="{x} 0 {z}" fovy="{fov}" xyaxes="0 -1 0 {up_x} 0 {up_z}"/>
  <body name="left" pos="0 {half_track} {radius}">
    <joint name="left" axis="0 1 0" damping="0.01" armature="0.002"/>
    {wheel}
  </body>
  <body name="right" pos="0 -{half_track} {radius}">
    <joint name="right" axis="0 1 0" damping="0.01" armature="0.002"/>
    {wheel}
  </body>
</body>
"""
_WHEEL = ('<geom type="cylinder" size="{radius} 0.02" euler="1.5707963 0 0" mass="0.3" '
          'friction="0.9 0.01 0.001" rgba="0.05 0.05 0.05 1"/>')


def model_xml(course: Course) -> tuple[str, dict[str, bytes]]:
    """Return the model of a course as XML, and file name -> PNG for its textures."""
    rng = np.random.default_rng(course.seed + 1000)
    images = {'floor.png': textures.floor(course.floor, rng),
              'wall.png': textures.wall(course.wall, rng)}
    assets, bodies = [], []
    for k, thing in enumerate(course.things):
        if thing.class_name == 'cube':
            images[f'side{k}.png'] = textures.side(thing.skin, thing.colour, rng)
        more_assets, body = _cone(thing, k) if thing.class_name == 'cone' else _cube(thing, k)
        assets.append(more_assets)
        bodies.append(body)
    lamp, ambient = course.brightness
    xml = _MODEL.format(
        step=PHYSICS_STEP_S, width=WIDTH, height=HEIGHT, repeat=1 / textures.TILE_M,
        light=_numbers(course.light), lamp=lamp, ambient=ambient, assets='\n'.join(assets),
        walls=_walls(), things='\n'.join(bodies), rover=_rover(course.heading))
    return xml, {name: _png(image) for name, image in images.items()}


def _rover(heading: float) -> str:
    return _ROVER.format(
        heading=heading, x=CAMERA_X, z=CAMERA_HEIGHT, fov=FIELD_OF_VIEW,
        up_x=math.sin(CAMERA_PITCH), up_z=math.cos(CAMERA_PITCH), half_track=TRACK / 2,
        radius=WHEEL_RADIUS, wheel=_WHEEL.format(radius=WHEEL_RADIUS))


def _walls() -> str:
    back, front, sides = _ROOM
    middle = (front + back) / 2
    # position, and the direction that each wall faces
    walls = ((front, 0, -1, 0), (back, 0, 1, 0), (middle, sides, 0, -1), (middle, -sides, 0, 1))
    return '\n'.join(f'<geom name="wall{k}" type="plane" pos="{x} {y} 0" size="5 5 0.1" '
                     f'zaxis="{u} {v} 0" material="wall"/>'
                     for k, (x, y, u, v) in enumerate(walls))


def _cube(thing: Thing, k: int) -> tuple[str, str]:
    half = thing.half_width
    return (f'<texture name="side{k}" type="cube" file="side{k}.png"/>'
            f'<material name="side{k}" texture="side{k}" specular="0.2" shininess="0.3"/>',
            f'<body name="{thing.name}" pos="{thing.x} {thing.y} {half}" euler="0 0 {thing.yaw}">'
            f'<freejoint/><geom name="{thing.name}" type="box" size="{half} {half} {half}" '
            f'mass="0.8" material="side{k}"/></body>')


def _cone(thing: Thing, k: int) -> tuple[str, str]:
    """Return a cone as frustums one upon the other, and its square plate."""
    foot, tip = thing.half_width * 0.75, thing.height * 0.06
    tall = thing.height - _FOOT

    def radius(share: float) -> float:
        return foot + (tip - foot) * share

    cuts = [0.0, *(edge for band in thing.bands for edge in band), 1.0]
    assets, geoms = [], []
    for part, (low, high) in enumerate(zip(cuts, cuts[1:])):
        points = [(radius(share) * math.cos(a), radius(share) * math.sin(a), share * tall + _FOOT)
                  for share in (low, high) for a in np.linspace(0, 2 * math.pi, 32, False)]
        name = f'cone{k}_{part}'
        colour = (0.92, 0.92, 0.9) if part % 2 else thing.colour
        assets.append(f'<mesh name="{name}" vertex="{_numbers(np.ravel(points))}"/>')
        geoms.append(f'<geom name="{thing.name} {part}" type="mesh" mesh="{name}" mass="0.1" '
                     f'rgba="{_numbers(colour)} 1"/>')
    wide = thing.half_width
    geoms.append(f'<geom name="{thing.name}" type="box" pos="0 0 {_FOOT / 2}" mass="0.4" '
                 f'size="{wide} {wide} {_FOOT / 2}" rgba="{_numbers(thing.colour)} 1"/>')
    return '\n'.join(assets), (f'<body name="{thing.name}" pos="{thing.x} {thing.y} 0" '
                               f'euler="0 0 {thing.yaw}"><freejoint/>{"".join(geoms)}</body>')


def _numbers(values: Iterable[float]) -> str:
    return ' '.join(f'{value:.5g}' for value in values)


def _png(image: np.ndarray) -> bytes:
    return cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()
