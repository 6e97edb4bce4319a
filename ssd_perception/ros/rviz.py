"""Write RViz configurations: each camera beside its detections, and positions in space.

RViz has no display for Detection2DArray, so the annotated image is the display.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from ssd_perception.core.interface import ANNOTATED_IMAGE, IMAGE, MARKERS, TARGET

# Pixels of the window: the images of one camera, the view in space beside them, and Qt's margins.
_IMAGES_WIDTH, _ROW_HEIGHT, _MOST_HEIGHT = 1176, 557, 950
_SPACE_WIDTH, _NO_SPACE_WIDTH = 560, 18
_MARGIN, _SPLITTER = 6, 6
_TOOLBARS_HEIGHT = 43


@dataclass(frozen=True)
class View:
    """What is shown of one camera.

    Attributes:
        name: of the camera; '' for the only one.
        image: topic of its images; one that ends in /compressed is shown by image_transport.
        prefix: of the topics that the detector publishes about it, such as '/rover/front/'.
    """

    name: str = ''
    image: str = IMAGE
    prefix: str = ''


def configuration(views: Sequence[View], frame: str = 'base_link', space: bool = True) -> str:
    """Return an RViz configuration, YAML: one row of two images for each view.

    Args:
        frame: the node's position_frame.
        space: whether the positions in space get a place in the window.
    """
    rows = [(_title('Camera', view), _title('Detections', view)) for view in views]
    height = min(_ROW_HEIGHT * len(rows), _MOST_HEIGHT)
    beside = _SPACE_WIDTH if space else _NO_SPACE_WIDTH
    displays = [display for view in views for display in _displays(view)]
    displays.append({'Class': 'rviz_default_plugins/Grid', 'Name': 'Floor', 'Enabled': True,
                     'Cell Size': 1, 'Plane Cell Count': 10, 'Value': True})
    docks = {name: {'collapsed': False} for row in rows for name in row}
    return yaml.safe_dump({
        'Panels': [{'Class': 'rviz_common/Displays', 'Name': 'Displays'}],
        'Visualization Manager': {
            'Class': '', 'Name': 'root', 'Enabled': True, 'Value': True, 'Displays': displays,
            'Global Options': {'Background Color': '48; 48; 48', 'Fixed Frame': frame,
                               'Frame Rate': 30},
            'Tools': [{'Class': 'rviz_default_plugins/MoveCamera'}],
            # From behind the robot, close enough to read what is written on the markers.
            'Views': {'Current': {
                'Class': 'rviz_default_plugins/Orbit', 'Distance': 4.0, 'Yaw': 3.1416,
                'Pitch': 0.5, 'Focal Point': {'X': 1.5, 'Y': 0.0, 'Z': 0.0}}}},
        'Window Geometry': {
            # The state below hides the list of displays; "collapsed" would make RViz show it.
            **docks, 'Displays': {'collapsed': False},
            'Hide Left Dock': False, 'Hide Right Dock': True,
            'QMainWindow State': dock_state(rows, height, beside).hex(),
            'Width': _IMAGES_WIDTH + _MARGIN + beside, 'Height': height + _TOOLBARS_HEIGHT,
        }}, sort_keys=False)


def _title(kind: str, view: View) -> str:
    return f'{kind} {view.name}'.strip()


def _displays(view: View) -> list[dict]:
    # Camera drivers publish best effort: a reliable display would stay black.
    return [
        _display('Image', _title('Camera', view), view.image, 'Best Effort'),
        _display('Image', _title('Detections', view), view.prefix + ANNOTATED_IMAGE, 'Reliable'),
        _display('MarkerArray', _title('Positions', view), view.prefix + MARKERS, 'Reliable'),
        _display('Pose', _title('Target', view), view.prefix + TARGET, 'Reliable')]


def _display(kind: str, name: str, topic: str, reliability: str) -> dict:
    more: dict[str, dict] = {
        'Image': {'Max Value': 1, 'Min Value': 0, 'Normalize Range': True},
        'Pose': {'Shape': 'Arrow'}}
    return {'Class': f'rviz_default_plugins/{kind}', 'Name': name, 'Enabled': True,
            'Topic': {'Value': topic, 'Depth': 1, 'History Policy': 'Keep Last',
                      'Reliability Policy': reliability, 'Durability Policy': 'Volatile'},
            **more.get(kind, {}), 'Value': True}


def dock_state(rows: Sequence[Sequence[str]], height: int, beside: int) -> bytes:
    """Return what Qt's ``QMainWindow.restoreState`` takes to lay docks out in rows at the left.

    Without it RViz stacks the images in the order in which it happens to make them. The format is
    that of Qt 5 and 6, as their ``saveState`` writes it.

    Args:
        rows: names of the docks, from top to bottom and left to right.
        height: of all rows, px.
        beside: width of what is right of them, px.
    """
    # Sequence: direction (1 horizontal, 2 vertical), count; each part with place, size, limits.
    lines = b''
    for row, (top, size) in zip(rows, _divide(height, len(rows))):
        line = b'\xfc\x01' + struct.pack('>i', len(row))
        for name, (left, width) in zip(row, _divide(_IMAGES_WIDTH, len(row))):
            line += _dock(name, True) + struct.pack('>4i', left, width, 62, 0xffffff)
        lines += b'\xfc' + struct.pack('>4i', top, size, 23, 0xffffff) + line
    left_dock = (b'\xfc\x02' + struct.pack('>i', len(rows) + 1) + lines
                 + _dock('Displays', False) + struct.pack('>4i', 0, -1, 23, 0xffffff))
    toolbar = struct.pack('>3i', 1, 2, 1) + _text('Tools') + b'\x01' + struct.pack('>4i', 0, -1,
                                                                                     0, 0)
    return (struct.pack('>2i', 0xff, 0) + b'\xfd' + struct.pack('>4i', 1, 0, _IMAGES_WIDTH, height)
            + left_dock + struct.pack('>2i', beside, height)
            + struct.pack('>4i', 4, 4, 8, 8) + b'\xfc' + toolbar)


def _divide(length: int, count: int) -> list[tuple[int, int]]:
    """Return (start, size) of ``count`` equal parts with splitters between them, px."""
    size = (length - _SPLITTER * (count - 1)) // count
    return [(i * (size + _SPLITTER), size) for i in range(count)]


def _dock(name: str, shown: bool) -> bytes:
    return b'\xfb' + _text(name) + bytes([shown])


def _text(text: str) -> bytes:
    encoded = text.encode('utf-16-be')
    return struct.pack('>i', len(encoded)) + encoded


if __name__ == '__main__':
    print("# For one camera, names relative: start rviz2 in the node's namespace. Made by\n"
          '# `python -m ssd_perception.ros.rviz`; the launch file writes one that fits its '
          'arguments.\n' + configuration([View()]), end='')
