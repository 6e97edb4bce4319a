"""The launch file and the shipped configuration say what the node understands."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from ssd_perception.ros.dds import PROFILE_VARIABLES

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / 'launch' / 'detector.launch.py'


def test_defect_d12_the_launch_file_is_short_and_runs_nothing_by_itself():
    source = LAUNCH.read_text()
    assert len(source.splitlines()) < 170
    assert not any(word in source for word in ('eval(', 'exec(', 'subprocess', 'os.system'))


def test_rviz_shows_relative_topics_with_the_right_reliability():
    config = yaml.safe_load((ROOT / 'config' / 'detector.rviz').read_text())
    topics = {display['Topic']['Value']: display['Topic']['Reliability Policy']
              for display in config['Visualization Manager']['Displays'] if 'Topic' in display}
    assert topics == {'image': 'Best Effort', 'detections/image': 'Reliable',
                      'detections/markers': 'Reliable', 'target': 'Reliable'}


def test_the_dds_profile_has_a_large_shared_memory_segment():
    tree = ElementTree.parse(ROOT / 'config' / 'fastdds_large_images.xml')
    sizes = [int(e.text) for e in tree.iter() if e.tag.endswith('segment_size')]
    assert sizes == [64 << 20]
    assert [e for e in tree.iter() if e.get('is_default_profile') == 'true']


def test_the_node_does_not_import_torch_by_itself():
    program = ('import sys, ssd_perception.ros.node\n'
               'sys.exit("torch" in sys.modules)')
    pytest.importorskip('rclpy')
    subprocess.run([sys.executable, '-c', program], cwd=ROOT, check=True)


class Stub:
    """Stands for any class of the launch stack, which is not installed: keeps its arguments."""

    def __init__(self, *words, **options):
        self.words, self.options = words, options

    def perform(self, context):
        return context[self.words[0]]


@pytest.fixture
def description(monkeypatch):
    names = {'launch': ['LaunchDescription'],
             'launch.actions': ['DeclareLaunchArgument', 'ExecuteProcess', 'OpaqueFunction',
                                'RegisterEventHandler', 'SetEnvironmentVariable', 'Shutdown'],
             'launch.event_handlers': ['OnProcessIO'],
             'launch.substitutions': ['LaunchConfiguration'], 'launch_ros': [],
             'launch_ros.actions': ['Node']}
    for name, classes in names.items():
        module = types.ModuleType(name)
        module.__dict__.update({kind: type(kind, (Stub,), {}) for kind in classes})
        monkeypatch.setitem(sys.modules, name, module)
    index = pytest.importorskip('ament_index_python.packages')
    monkeypatch.setattr(index, 'get_package_share_directory', lambda _: str(ROOT))
    monkeypatch.setattr(index, 'get_package_prefix', lambda _: '/opt/ros')
    for name in ('RMW_IMPLEMENTATION', *PROFILE_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location('detector_launch', LAUNCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(description, **given):
    """Return the actions for launch arguments."""
    return description.start({name: default for name, default, _ in description.ARGUMENTS} | given)


def kinds(actions):
    return [type(action).__name__ for action in actions]


@pytest.mark.parametrize('text, value', [('', False), ('true', True), ('False', False)])
def test_booleans(description, text, value):
    assert description.boolean('rviz', text) is value
    with pytest.raises(ValueError, match='rviz must be true or false, got "maybe"'):
        description.boolean('rviz', 'maybe')


def test_launch_arguments_reach_the_node(description):
    variable, node, rviz = start(description, rviz='true', weights='mine')
    assert kinds([variable, node, rviz]) == ['SetEnvironmentVariable', 'Node', 'Node']
    assert node.options['parameters'][1]['weights'] == 'mine'


@pytest.mark.parametrize('environment, argument, profile', [
    ({}, 'auto', True), ({}, 'large_images', True), ({}, 'none', False), ({}, '', False),
    ({'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp'}, 'auto', True),
    ({'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'}, 'auto', False),
    ({PROFILE_VARIABLES[0]: '/mine.xml'}, 'auto', False)])
def test_fast_dds_gets_the_profile_for_large_images(description, monkeypatch, environment,
                                                    argument, profile):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    actions = start(description, dds_profile=argument)
    assert kinds(actions) == ['SetEnvironmentVariable'] * profile + ['Node']
    assert not profile or Path(actions[0].words[1]).is_file()


@pytest.mark.parametrize('given, says', [
    ({'bag': '/nope'}, 'bag: there is no /nope'),
    ({'params_file': '/nope.yaml'}, 'params_file: there is no /nope.yaml'),
    ({'rviz': 'true'}, 'rviz needs rviz2')])
def test_what_is_not_there_ends_the_launch_before_anything_is_started(description, monkeypatch,
                                                                      given, says):
    def prefix(package):
        raise description.PackageNotFoundError(package)

    monkeypatch.setattr(description, 'get_package_prefix', prefix)
    with pytest.raises(ValueError, match=says):
        start(description, **given)


def test_a_bag_begins_when_the_detector_is_active(description, tmp_path):
    _, node, handler = start(description, bag=str(tmp_path))
    options = handler.words[0].options
    assert options['target_action'] is node
    callback = options['on_stderr']
    assert callback(types.SimpleNamespace(text=b'Using rover')) == []
    played, = callback(types.SimpleNamespace(text=b'Active on /image (own conversion).'))
    assert played.options['cmd'][-1] == '1.0' and str(tmp_path) in played.options['cmd']
    assert options['on_stdout'](types.SimpleNamespace(text=b'Active on /image')) == [], 'once'


@pytest.mark.parametrize('ros2bag', [True, False])
def test_a_bag_is_played_by_what_is_installed(description, monkeypatch, ros2bag):
    def prefix(package):
        if package == 'ros2bag' and not ros2bag:
            raise description.PackageNotFoundError(package)
        return '/opt/ros'

    monkeypatch.setattr(description, 'get_package_prefix', prefix)
    command = description.player('/data/drive', '0.5', True)
    if ros2bag:
        assert command == ['ros2', 'bag', 'play', '--delay', '1.0', '/data/drive', '--clock',
                           '--rate', '0.5', '--loop']
        return
    assert command[:2] == ['/opt/ros/lib/ssd_perception/ssd_perception', 'play']
    # What our own player does not know it would refuse.
    import argparse

    from ssd_perception.cli import play
    parser = argparse.ArgumentParser()
    play.add_arguments(parser)
    args = parser.parse_args(command[2:])
    assert (args.rate, args.loop, args.clock, args.wait_timeout) == (0.5, True, True, 120)


def test_nav2_follows_the_topic_in_the_frame_that_the_node_publishes():
    from ssd_perception.core import interface
    from ssd_perception.ros.parameters import NodeParameters
    tree = ElementTree.parse(ROOT / 'config' / 'nav2_follow.xml').getroot()
    action = tree.find(f"BehaviorTree[@ID='{tree.get('main_tree_to_execute')}']/FollowObject")
    assert action.get('pose_topic') == interface.TARGET
    values = yaml.safe_load((ROOT / 'config' / 'nav2_follow.yaml').read_text())
    server = values['following_server']['ros__parameters']
    assert server['base_frame'] == NodeParameters().position_frame
    assert server['detection_timeout'] > NodeParameters().target_timeout_s
    assert server['skip_orientation'] is True


def test_the_launch_file_for_nav2_starts_the_server_and_its_manager(monkeypatch):
    pytest.importorskip('launch_ros', reason='the launch stack is not installed here')
    spec = importlib.util.spec_from_file_location('follow_launch',
                                                  ROOT / 'launch' / 'follow.launch.py')
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr('ament_index_python.packages.get_package_share_directory',
                        lambda _: str(ROOT))
    spec.loader.exec_module(module)
    kinds = [type(entity).__name__ for entity in module.generate_launch_description().entities]
    assert kinds == ['DeclareLaunchArgument'] * 3 + ['IncludeLaunchDescription', 'Node', 'Node']
