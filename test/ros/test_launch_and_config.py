"""The launch file and the shipped configuration say what the node understands."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / 'launch' / 'detector.launch.py'


def test_defect_d12_the_launch_file_is_short_and_runs_nothing_by_itself():
    source = LAUNCH.read_text()
    assert len(source.splitlines()) < 120
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


@pytest.fixture
def description(monkeypatch):
    pytest.importorskip('launch_ros', reason='the launch stack is not installed here')
    spec = importlib.util.spec_from_file_location('detector_launch', LAUNCH)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr('ament_index_python.packages.get_package_share_directory',
                        lambda _: str(ROOT))
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('text, value', [('', False), ('true', True), ('False', False)])
def test_booleans(description, text, value):
    assert description.boolean('rviz', text) is value
    with pytest.raises(ValueError, match='rviz must be true or false, got "maybe"'):
        description.boolean('rviz', 'maybe')


def test_launch_arguments_reach_the_node(description):
    from launch import LaunchContext
    context = LaunchContext()
    context.launch_configurations.update({name: default
                                          for name, default, _ in description.ARGUMENTS})
    assert len(description.start(context)) == 1
    context.launch_configurations.update(dds_profile='large_images', rviz='true', weights='mine')
    kinds = [type(action).__name__ for action in description.start(context)]
    assert kinds == ['SetEnvironmentVariable', 'Node', 'Node']


@pytest.mark.parametrize('ros2bag', [True, False])
def test_a_bag_is_played_by_what_is_installed(description, monkeypatch, ros2bag):
    from launch import LaunchContext

    def prefix(package):
        if package == 'ros2bag' and not ros2bag:
            raise description.PackageNotFoundError(package)
        return '/opt/ros'

    monkeypatch.setattr(description, 'get_package_prefix', prefix)
    context = LaunchContext()
    context.launch_configurations.update({name: default
                                          for name, default, _ in description.ARGUMENTS})
    context.launch_configurations.update(bag='/data/drive', bag_rate='0.5', bag_loop='true')
    node, process = description.start(context)
    command = [part[0].perform(context) for part in process.cmd]
    ours = ['/opt/ros/lib/ssd_perception/ssd_perception', 'play']
    assert command[:3 if ros2bag else 2] == (['ros2', 'bag', 'play'] if ros2bag else ours)
    options = command[3 if ros2bag else 2:]
    assert options[:5] == ['/data/drive', '--clock', '--rate', '0.5', '--loop']
    if not ros2bag:  # what our own player does not know it would refuse
        import argparse

        from ssd_perception.cli import play
        parser = argparse.ArgumentParser()
        play.add_arguments(parser)
        args = parser.parse_args(options)
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
