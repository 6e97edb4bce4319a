"""Parameters of tracks and positions as what the stages take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ssd_perception.core.errors import SettingError
from ssd_perception.core.text import quoted
from ssd_perception.scene.camera_model import mounting
from ssd_perception.scene.positions import PositionSettings
from ssd_perception.scene.target import TargetSettings


@dataclass(frozen=True, eq=False)
class SceneSettings:
    """How the node finds positions.

    Attributes:
        positions: methods and classes.
        frame: the frame that positions are in.
        mount: (4, 4), from optical axes to ``frame``; None takes it from TF.
        rectified: whether images are rectified.
        target: the object on ``target``.
        obstacles: whether to publish ``obstacles``.
        mounting_error: standard deviation of the mounting's angles, radians; 0 takes the default
            of its source.
    """

    positions: PositionSettings = field(default_factory=PositionSettings)
    frame: str = 'base_link'
    mount: np.ndarray | None = None
    rectified: bool = False
    target: TargetSettings = field(default_factory=TargetSettings)
    obstacles: bool = False
    mounting_error: float = 0.0


# Metres or radians; with more the arithmetic of positions would overflow.
_MOST = 1e4
MOUNT = ('height', 'x', 'y', 'roll', 'pitch', 'yaw')


def parse_mount(texts: Sequence[str], floor_z: float = 0.0) -> np.ndarray | None:
    """Return the 4x4 mounting of texts such as ``height=0.33``; None when there are none.

    ``height`` is above the floor, which lies at ``floor_z`` in the frame of the positions.

    Raises:
        SettingError: for a text of another form, or without a height above 0.
    """
    if not texts:
        return None
    values = dict.fromkeys(MOUNT, 0.0)
    for text in texts:
        name, value = _pair('camera_mount', text, 'height=0.33 or pitch=0.19')
        if name not in values:
            raise SettingError(f'Parameter "camera_mount" takes {", ".join(MOUNT)}, got '
                               f'{quoted(text)}.')
        values[name] = _number('camera_mount', value, text)
    if values['height'] <= 0:
        raise SettingError('Parameter "camera_mount" must hold height=METRES above 0.')
    return mounting(values['x'], values['y'], values['height'] + floor_z, values['roll'],
                    values['pitch'], values['yaw'])


def parse_heights(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return class name -> least and greatest height of texts ``cone=0.33`` or ``cone=0.2..0.36``.

    Raises:
        SettingError: for a text of another form.
    """
    heights = {}
    for text in texts:
        name, value = _pair('class_heights', text, 'cone=0.33 or cone=0.2..0.36')
        low, _, high = value.partition('..')
        heights[name] = (_number('class_heights', low, text),
                         _number('class_heights', high or low, text))
    return heights


def _pair(parameter: str, text: str, form: str) -> tuple[str, str]:
    name, equals, value = text.rpartition('=')
    if not equals or not name.strip():
        raise SettingError(f'Parameter "{parameter}" must hold texts such as {form}, got '
                           f'"{text}".')
    return name.strip(), value


def _number(parameter: str, value: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not abs(number) <= _MOST:
        raise SettingError(f'Parameter "{parameter}" must hold numbers up to {_MOST:g}, got '
                           f'{quoted(text)}.')
    return number
