"""RViz configurations fit the cameras, and lay their images out side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ssd_perception.ros.rviz import View, configuration, dock_state

ROOT = Path(__file__).parents[2]
# What Qt 5 wrote for two images side by side, laid out by hand; its row began below a toolbar.
TRIED = bytes.fromhex(
    '000000ff00000000fd0000000100000000000004980000022dfc0200000002fc000000110000022d0000001700ffff'
    'fffc0100000002fb0000000c00430061006d0065007200610100000000000002490000003e00fffffffb0000001400'
    '44006500740065006300740069006f006e0073010000024f000002490000003e00fffffffb00000010004400690073'
    '0070006c0061007900730000000000ffffffff0000001700ffffff000000120000022d000000040000000400000008'
    '00000008fc0000000100000002000000010000000a0054006f006f006c00730100000000ffffffff00000000000000'
    '00')


def test_the_layout_is_the_one_that_qt_writes():
    made = dock_state([('Camera', 'Detections')], 557, 18)
    assert made == TRIED.replace(bytes.fromhex('fc000000110000022d'),
                                 bytes.fromhex('fc000000000000022d'))


def test_the_shipped_configuration_is_the_one_for_relative_names():
    shipped = (ROOT / 'config' / 'detector.rviz').read_text()
    assert shipped.startswith('#') and shipped.endswith(configuration([View()]))


@pytest.mark.parametrize('names', [[''], ['front', 'rear'], ['a', 'b', 'c', 'd', 'e']])
def test_every_camera_has_its_displays_and_docks(names):
    views = [View(name, f'/{name}/image', f'/{name}/') for name in names]
    config = yaml.safe_load(configuration(views, 'odom', space=False))
    manager, window = config['Visualization Manager'], config['Window Geometry']
    assert manager['Global Options']['Fixed Frame'] == 'odom'
    state = bytes.fromhex(window['QMainWindow State'])
    images = [d['Name'] for d in manager['Displays'] if d['Class'].endswith('/Image')]
    assert len(images) == len(set(images)) == 2 * len(names)
    assert all(title.encode('utf-16-be') in state and title in window for title in images)
    assert window['Height'] <= 1000 and window['Width'] <= 1920
    # RViz shows a collapsed dock where the left docks are not hidden (seen in RViz 14.3.1).
    assert not any(dock.get('collapsed') for dock in window.values() if isinstance(dock, dict))
    values = {d['Topic']['Value'] for d in manager['Displays'] if 'Topic' in d}
    assert len(values) == 4 * len(names)


def test_positions_get_a_place_beside_the_images():
    wide, narrow = (yaml.safe_load(configuration([View()], space=space))['Window Geometry']
                    for space in (True, False))
    assert wide['Width'] > narrow['Width'] + 400
