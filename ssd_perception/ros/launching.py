"""What the launch files decide: checked arguments, resolved names, what plays, what is shown.

Nothing here imports the launch stack, which only launch files need.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from rclpy.node import Node

from ssd_perception.core.errors import SettingError
from ssd_perception.core.interface import (
    COMPRESSED_SUFFIX,
    COMPRESSED_TYPE,
    IMAGE_TYPE,
    compressed,
)
from ssd_perception.core.safe_yaml import YamlError, read_yaml
from ssd_perception.ros.dds import (
    detector_profile,
    lacks_profile,
    large_images_profile,
    profile_variable,
)
from ssd_perception.ros.parameters import NodeParameters
from ssd_perception.ros.rviz import View, configuration

DETECTOR = 'ssd_detector'
DISCOVERY_S = 2.0  # until DDS has matched a recording's player and the detector

Given = Mapping[str, str]  # launch argument -> what was given for it


class LaunchError(SettingError):
    """A launch argument is impossible; the message is one sentence naming it."""


def check(given: Given) -> None:
    """Refuse in one sentence what would leave half of the processes running.

    Raises:
        LaunchError: for a file that is not there, RViz that is not, no boolean, or no pace.
    """
    for name, exists in (('params_file', Path.is_file), ('bag', Path.exists)):
        if given[name] and not exists(Path(given[name]).expanduser()):
            raise LaunchError(f'Launch argument {name}: there is no {given[name]}.')
    boolean(given, 'bag_loop')  # is needed only when the detector has started
    if not re.fullmatch(r'\d+\.?\d*|\.\d+', given['bag_rate']) or not float(given['bag_rate']):
        raise LaunchError('Launch argument bag_rate must be a number above 0, got '
                          f'"{given["bag_rate"]}".')
    if boolean(given, 'rviz'):
        require('rviz2', 'rviz2', 'Launch argument rviz')


def require(package: str, debian: str, what: str) -> None:
    """Refuse ``what`` in one sentence where a ROS package is not installed.

    Raises:
        LaunchError: with the Debian package to install.
    """
    try:
        get_package_prefix(package)
    except PackageNotFoundError as error:
        raise LaunchError(f'{what} needs {package}: install ros-$ROS_DISTRO-{debian}, or do '
                          'without.') from error


def boolean(given: Given, name: str, default: bool = False) -> bool:
    """Return what a launch argument means; an unset one means the default.

    Raises:
        LaunchError: for anything but true and false.
    """
    values = {'true': True, '1': True, 'false': False, '0': False, '': default}
    if given[name].lower() not in values:
        raise LaunchError(f'Launch argument {name} must be true or false, got "{given[name]}".')
    return values[given[name].lower()]


def dds_profile(given: Given) -> str:
    """Return the path of the Fast DDS profile to use; empty for none.

    ``auto`` is the shipped one where Fast DDS is used and the environment names no other.
    """
    text, shipped = given['dds_profile'], str(large_images_profile())
    if text == 'auto':
        return shipped if lacks_profile() else ''
    return {'large_images': shipped, 'none': ''}.get(text, text)


def node_environment(profile: str) -> dict[str, str]:
    """Return what the node's environment has beside the profile for all: one of its own.

    With the shipped profile for large images the node would keep 64 MB; of what it sends,
    annotated images alone are large.

    Args:
        profile: of ``dds_profile``; without one the environment's counts.
    """
    profile = profile or os.environ.get(profile_variable(), '')
    shipped = profile == str(large_images_profile())
    return {profile_variable(): str(detector_profile())} if shipped else {}


def parameters(given: Given) -> list[str | dict[str, Any]]:
    """Return the node's parameters as launch takes them: the file, then what overrides it."""
    overrides: dict[str, Any] = {
        name: given[name] for name in ('weights', 'device', 'runtime') if given[name]}
    if given['autostart']:
        overrides['autostart'] = boolean(given, 'autostart')
    if given['classes']:
        overrides['classes'] = [name.strip() for name in given['classes'].strip('[] ').split(',')]
    if given['cameras']:
        overrides['cameras'] = [name for name, _ in _cameras(given)]
    # A bag's stamps are old: with wall time every age would be days.
    overrides['use_sim_time'] = boolean(given, 'use_sim_time', bool(given['bag']))
    # A shell leaves the ~ of params_file:=~/mine.yaml as it is.
    files = [str(Path(path).expanduser()) for path in [given['params_file']] if path]
    return [*files, overrides]


def remappings(given: Given) -> list[tuple[str, str]]:
    """Return the remappings of the node's images to the cameras' topics."""
    return [(f'{name}/image' if name else 'image', topic)
            for name, topic in _cameras(given) if topic]


def views(given: Given) -> list[View]:
    """Return what is to be seen of each camera, with absolute names."""
    namespace = given['namespace'].strip('/')
    base = f'/{namespace}/' if namespace else '/'

    def absolute(name: str) -> str:
        return name if name.startswith('/') else base + name
    return [View(name, absolute(topic or f'{name}/image'.lstrip('/')),
                 absolute(f'{name}/' if name else ''))
            for name, topic in _cameras(given)]


def _cameras(given: Given) -> list[tuple[str, str]]:
    """Return (name, topic) of the cameras; no name for the only one."""
    several = [camera.partition('=') for camera in given['cameras'].split(',') if camera.strip()]
    return ([(name.strip(), topic.strip()) for name, _, topic in several]
            or [('', given['image'])])


def player(given: Given) -> list[str]:
    """Return the command that plays the recording and publishes its time on /clock."""
    options = [str(Path(given['bag']).expanduser()), '--clock', '--rate', given['bag_rate'],
               *(['--loop'] if boolean(given, 'bag_loop') else [])]
    try:
        get_package_prefix('ros2bag')
    except PackageNotFoundError:
        ours = Path(get_package_prefix('ssd_perception')) / 'lib/ssd_perception/ssd_perception'
        return [str(ours), 'play', *options, '--quiet', '--wait-timeout', '120']
    return ['ros2', 'bag', 'play', '--delay', str(DISCOVERY_S), *options]


def is_listening(node: Node, given: Given) -> bool:
    """Say whether the detector has subscribed to every camera, as the ROS graph shows it."""
    return all(any(info.node_name == DETECTOR
                   for topic in (view.image, compressed(view.image))
                   for info in node.get_subscriptions_info_by_topic(topic))
               for view in views(given))


def published(node: Node, given: Given) -> list[View] | None:
    """Return the views with the topics on which images are really published.

    A camera of compressed images alone is shown by them. None while a camera is not in the graph;
    a recording shows all that it has at once.
    """
    known, found = [], []
    for view in views(given):
        topic = _image_topic(node, view.image)
        known.append(bool(topic))
        found.append(View(view.name, topic or view.image, view.prefix))
    return found if (any if given['bag'] else all)(known) else None


def _image_topic(node: Node, topic: str) -> str:
    """Return where images of a camera are published, the raw ones first; empty for nowhere."""
    kinds = (IMAGE_TYPE, COMPRESSED_TYPE) if topic.endswith(COMPRESSED_SUFFIX) else (IMAGE_TYPE,)
    for name, wanted in ((topic, kinds), (compressed(topic), (COMPRESSED_TYPE,))):
        if any(info.topic_type in wanted for info in node.get_publishers_info_by_topic(name)):
            return name
    return ''


def rviz_file(given: Given, shown: list[View]) -> Path:
    """Write an RViz configuration for these views; return its path.

    Positions get a place in it where the file of parameters switches them on.
    """
    values = _ours(given['params_file'])
    frame = str(values.get('position_frame', NodeParameters.position_frame))
    path = Path(tempfile.mkdtemp(prefix='ssd_perception_')) / 'detector.rviz'
    path.write_text(configuration(shown, frame, values.get('positions', 'none') != 'none'))
    return path


def _ours(params_file: str) -> dict:
    """Return the parameters that a file may set for the node, whatever node they stand under."""
    try:
        nodes = read_yaml(Path(params_file).expanduser()) if params_file else {}
    except (OSError, YamlError):
        return {}  # the node says what is wrong with it
    found: dict = {}
    for values in nodes.values() if isinstance(nodes, dict) else ():
        ours = values.get('ros__parameters') if isinstance(values, dict) else None
        found.update(ours if isinstance(ours, dict) else {})
    return found
