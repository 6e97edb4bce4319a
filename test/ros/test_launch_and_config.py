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

from ssd_perception.core.interface import IMAGE_TYPES
from ssd_perception.ros.dds import PROFILE_VARIABLES, large_images_profile, profile_variable

launching = pytest.importorskip('ssd_perception.ros.launching')

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / 'launch' / 'detector.launch.py'


def test_defect_d12_the_launch_file_is_short_and_runs_nothing_by_itself():
    source = LAUNCH.read_text()
    assert len(source.splitlines()) < 120
    assert not any(word in source for word in ('eval(', 'exec(', 'subprocess', 'os.system'))


@pytest.mark.parametrize('name, mib', [('large_images', 64), ('detector', 16)])
def test_a_dds_profile_has_a_large_shared_memory_segment_and_receive_buffer(name, mib):
    tree = ElementTree.parse(ROOT / 'config' / f'fastdds_{name}.xml')
    for tag, size in (('segment_size', mib << 20), ('receiveBufferSize', 8 << 20)):
        assert [int(e.text) for e in tree.iter() if e.tag.endswith(tag)] == [size]
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
def launch_file(monkeypatch):
    """Return a function that loads a launch file beside a stand-in for the launch stack."""
    names = {'launch': ['LaunchDescription'],
             'launch.actions': ['DeclareLaunchArgument', 'ExecuteProcess', 'OpaqueFunction',
                                'IncludeLaunchDescription', 'SetEnvironmentVariable', 'Shutdown',
                                'TimerAction'],
             'launch.launch_description_sources': ['PythonLaunchDescriptionSource'],
             'launch.substitutions': ['LaunchConfiguration'], 'launch_ros': [],
             'launch_ros.actions': ['Node'], 'launch_ros.ros_adapters': ['get_ros_node']}
    for name, classes in names.items():
        module = types.ModuleType(name)
        module.__dict__.update({kind: type(kind, (Stub,), {}) for kind in classes})
        monkeypatch.setitem(sys.modules, name, module)
    index = pytest.importorskip('ament_index_python.packages')
    monkeypatch.setattr(index, 'get_package_share_directory', lambda _: str(ROOT))
    installed(monkeypatch, 'rviz2', 'ros2bag', 'opennav_following', 'ssd_perception')
    for name in ('RMW_IMPLEMENTATION', *PROFILE_VARIABLES):
        monkeypatch.delenv(name, raising=False)

    def load(path):
        spec = importlib.util.spec_from_file_location('launch_file', path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    return load


@pytest.fixture
def description(launch_file):
    return launch_file(LAUNCH)


def installed(monkeypatch, *packages):
    """Let the ament index know these packages alone."""
    def prefix(package):
        if package not in packages:
            raise launching.PackageNotFoundError(package)
        return '/opt/ros'
    monkeypatch.setattr(launching, 'get_package_prefix', prefix)


GIVEN = {'image': 'image', 'cameras': '', 'weights': '', 'classes': '', 'device': '',
         'runtime': '', 'params_file': '', 'namespace': '', 'autostart': '', 'respawn': 'false',
         'use_sim_time': '', 'rviz': 'false', 'bag': '', 'bag_rate': '1.0', 'bag_loop': 'false',
         'dds_profile': 'auto', 'log_level': 'info'}


def start(description, **given):
    """Return the actions for launch arguments."""
    return description.start({name: default for name, default, _ in description.ARGUMENTS} | given)


def kinds(actions):
    return [type(action).__name__ for action in actions]


def test_every_argument_is_declared_with_a_default_and_a_meaning(description):
    declared = description.generate_launch_description().words[0][:-1]
    assert {action.words[0] for action in declared} == set(GIVEN)
    assert all(action.options['description'] for action in declared)
    assert {n: d for n, d, _ in description.ARGUMENTS if n != 'params_file'} == {
        n: d for n, d in GIVEN.items() if n != 'params_file'}


@pytest.mark.parametrize('text, value', [('', False), ('true', True), ('False', False)])
def test_booleans(text, value):
    assert launching.boolean({'rviz': text}, 'rviz') is value
    with pytest.raises(ValueError, match='rviz must be true or false, got "maybe"'):
        launching.boolean({'rviz': 'maybe'}, 'rviz')


@pytest.mark.parametrize('given', [
    {'bag_rate': 'fast'}, {'bag_rate': '0'}, {'bag_rate': '-1'}, {'bag_rate': 'inf'},
    {'bag_rate': ''}, {'bag_loop': 'maybe'}])
def test_what_only_the_player_needs_is_refused_before_the_detector_starts(given):
    with pytest.raises(ValueError, match=f'Launch argument {next(iter(given))} must be'):
        launching.check(GIVEN | given)
    for rate in ('1', '0.5', '2.', '.25'):
        launching.check(GIVEN | {'bag_rate': rate})


def test_launch_arguments_reach_the_node(description):
    variable, node = start(description, weights='mine', params_file='/mine.yaml'
                           if Path('/mine.yaml').exists() else '')
    assert kinds([variable, node]) == ['SetEnvironmentVariable', 'Node']
    assert node.options['parameters'] == [{'weights': 'mine', 'use_sim_time': False}]
    running, ending = (types.SimpleNamespace(is_shutdown=value) for value in (False, True))
    ended, died = (types.SimpleNamespace(returncode=value) for value in (0, 1))
    end = node.options['on_exit']
    assert kinds(end(ended, running)) == ['Shutdown']
    assert end(died, ending) is None, 'launch_ros fails at a second shutdown'
    with pytest.raises(RuntimeError, match='ended with exit code 1'):
        end(died, running)  # so that ros2 launch does not end with 0
    _, node = start(description, respawn='true')
    assert node.options['respawn'] is True and 'on_exit' not in node.options


@pytest.mark.parametrize('given, parameters, remappings, shown', [
    ({}, {}, [('image', 'image')], [('', '/image', '/')]),
    ({'namespace': 'rover/', 'image': 'camera/image_raw', 'autostart': 'false'},
     {'autostart': False}, [('image', 'camera/image_raw')],
     [('', '/rover/camera/image_raw', '/rover/')]),
    ({'bag': '/drive', 'image': '/c/image_raw/compressed'}, {'use_sim_time': True},
     [('image', '/c/image_raw/compressed')], [('', '/c/image_raw/compressed', '/')]),
    ({'classes': '[person, hot dog]'}, {'classes': ['person', 'hot dog']}, [('image', 'image')],
     [('', '/image', '/')]),
    ({'bag': '/drive', 'use_sim_time': 'false'}, {}, [('image', 'image')], [('', '/image', '/')]),
    ({'cameras': 'front=/f/image_raw, rear', 'namespace': '/rover', 'image': 'unused'},
     {'cameras': ['front', 'rear']}, [('front/image', '/f/image_raw')],
     [('front', '/f/image_raw', '/rover/front/'), ('rear', '/rover/rear/image',
                                                   '/rover/rear/')])])
def test_names_and_parameters(given, parameters, remappings, shown):
    given = GIVEN | given
    assert launching.parameters(given) == [{'use_sim_time': False} | parameters]
    assert launching.remappings(given) == remappings
    assert [(v.name, v.image, v.prefix) for v in launching.views(given)] == shown


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
    own = actions[-1].options['additional_env']
    assert bool(own) == profile
    for path in [path for action in actions[:-1] for path in action.words[1:]] + [*own.values()]:
        assert Path(path).is_file()
    assert not own or own != dict([actions[0].words]), 'the node has a profile of its own'


def test_the_node_has_its_own_profile_where_the_environment_names_the_shipped_one(
        description, monkeypatch):
    monkeypatch.setenv(profile_variable(), str(large_images_profile()))
    (node,) = start(description)
    assert [Path(path).name for path in node.options['additional_env'].values()] \
        == ['fastdds_detector.xml']


@pytest.mark.parametrize('given, says', [
    ({'bag': '/nope'}, 'bag: there is no /nope'),
    ({'params_file': '/nope.yaml'}, 'params_file: there is no /nope.yaml'),
    ({'params_file': '/tmp'}, 'params_file: there is no /tmp'),
    ({'rviz': 'true'}, 'rviz needs rviz2: install ros-.ROS_DISTRO-rviz2')])
def test_what_is_not_there_ends_the_launch_before_anything_is_started(description, monkeypatch,
                                                                      given, says):
    installed(monkeypatch)
    with pytest.raises(ValueError, match=says):
        start(description, **given)


class Graph:
    """A ROS graph with some publishers of images, and subscriptions of the detector."""

    def __init__(self, published=(), listened=(), who='ssd_detector'):
        self._published, self._listened, self._who = dict(published), listened, who

    def get_subscriptions_info_by_topic(self, topic):
        return [types.SimpleNamespace(node_name=self._who)] if topic in self._listened else []

    def get_publishers_info_by_topic(self, topic):
        kind = self._published.get(topic)
        return [types.SimpleNamespace(topic_type=kind)] if kind else []


def test_a_bag_begins_when_the_detector_listens_whatever_it_logs(description, tmp_path,
                                                                 monkeypatch):
    *_, timer = start(description, bag=str(tmp_path), image='/c/image', log_level='error')
    graph = Graph()
    monkeypatch.setattr(description, 'get_ros_node', lambda context: graph)

    def look(timer):
        actions = timer.options['actions'][0].options['function'](None)
        return actions[0]
    assert kinds([look(timer)]) == ['TimerAction'], 'nobody listens yet'
    graph = Graph(listened=['/c/image'], who='rviz2')
    assert kinds([look(look(timer))]) == ['TimerAction'], 'RViz listens, but not the detector'
    for topic in ('/c/image', '/c/image/compressed'):
        graph = Graph(listened=[topic])
        played = look(timer)
        assert kinds([played]) == ['ExecuteProcess'] and str(tmp_path) in played.options['cmd']


def test_all_cameras_have_to_listen():
    given = GIVEN | {'cameras': 'front=/f/image,rear'}
    assert not launching.is_listening(Graph(listened=['/f/image']), given)
    assert launching.is_listening(Graph(listened=['/f/image', '/rear/image']), given)


@pytest.mark.parametrize('ros2bag', [True, False])
def test_a_bag_is_played_by_what_is_installed(monkeypatch, ros2bag):
    installed(monkeypatch, 'ssd_perception', *['ros2bag'] * ros2bag)
    command = launching.player(GIVEN | {'bag': '/data/drive', 'bag_rate': '0.5',
                                        'bag_loop': 'true'})
    if ros2bag:
        assert command == ['ros2', 'bag', 'play', '--delay', '2.0', '/data/drive', '--clock',
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


RAW, JPEG = IMAGE_TYPES


@pytest.mark.parametrize('graph, shown', [
    ({}, None), ({'/image': 'std_msgs/msg/String'}, None), ({'/image': RAW}, '/image'),
    ({'/image/compressed': JPEG}, '/image/compressed'),
    ({'/image': RAW, '/image/compressed': JPEG}, '/image')])
def test_rviz_shows_what_is_published(graph, shown):
    found = launching.published(Graph(graph), GIVEN)
    assert (found and found[0].image) == shown


def test_rviz_waits_for_all_cameras_but_not_for_those_that_a_recording_lacks():
    given, graph = GIVEN | {'cameras': 'front,rear'}, Graph({'/rear/image/compressed': JPEG})
    assert launching.published(graph, given) is None
    found = launching.published(graph, given | {'bag': '/drive'})
    assert [view.image for view in found] == ['/front/image', '/rear/image/compressed']


def test_rviz_starts_when_the_camera_is_known_or_after_a_while(description, monkeypatch):
    *_, timer = start(description, rviz='true', namespace='rover')
    graph = Graph()
    monkeypatch.setattr(description, 'get_ros_node', lambda context: graph)

    def look(timer):
        return timer.options['actions'][0].options['function'](None)[0]
    later = look(timer)
    assert kinds([later]) == ['TimerAction']
    for _ in range(40):
        if kinds([later]) == ['Node']:
            break
        later = look(later)
    assert topics(Path(later.options['arguments'][1]))['/rover/image'] == 'Best Effort'
    graph = Graph({'/rover/image/compressed': JPEG})
    shown = topics(Path(look(timer).options['arguments'][1]))
    assert shown == {'/rover/image/compressed': 'Best Effort',
                     '/rover/detections/image': 'Reliable',
                     '/rover/detections/markers': 'Reliable', '/rover/target': 'Reliable'}


def topics(path):
    """Return topic -> reliability of the displays of an RViz configuration."""
    config = yaml.safe_load(path.read_text())
    return {display['Topic']['Value']: display['Topic']['Reliability Policy']
            for display in config['Visualization Manager']['Displays'] if 'Topic' in display}


# Of opennav_following's parameter_handler.cpp; Jazzy and Lyrical have the same, Kilted has no such
# server.
FOLLOWING = {
    'controller_frequency', 'detection_timeout', 'rotate_to_object_timeout',
    'static_object_timeout', 'linear_tolerance', 'angular_tolerance', 'max_retries', 'base_frame',
    'fixed_frame', 'desired_distance', 'skip_orientation', 'search_by_rotating', 'search_angle',
    'transform_tolerance', 'odom_topic', 'odom_duration', 'controller.use_collision_detection',
    'filter_coef'}
# Of nav2_tree_nodes.xml
FOLLOW_OBJECT = {'name', 'pose_topic', 'max_duration', 'tracked_frame', 'server_name',
                 'server_timeout', 'total_elapsed_time', 'error_code_id', 'error_msg'}


def test_nav2_follows_the_topic_in_the_frame_that_the_node_publishes():
    from ssd_perception.core import interface
    from ssd_perception.ros.parameters import NodeParameters
    tree = ElementTree.parse(ROOT / 'config' / 'nav2_follow.xml').getroot()
    action = tree.find(f"BehaviorTree[@ID='{tree.get('main_tree_to_execute')}']/FollowObject")
    assert action.get('pose_topic') == interface.TARGET
    assert set(action.attrib) <= FOLLOW_OBJECT
    values = yaml.safe_load((ROOT / 'config' / 'nav2_follow.yaml').read_text())
    server = values['following_server']['ros__parameters']
    assert set(server) <= FOLLOWING
    assert server['base_frame'] == NodeParameters().position_frame
    assert server['detection_timeout'] > NodeParameters().target_timeout_s
    assert server['skip_orientation'] is True


def test_a_home_folder_that_the_shell_leaves_alone_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'mine.yaml').touch()
    given = GIVEN | {'params_file': '~/mine.yaml', 'bag': '~/'}
    launching.check(given)
    assert launching.parameters(given)[0] == str(tmp_path / 'mine.yaml')
    installed(monkeypatch, 'ssd_perception')
    assert str(tmp_path) in launching.player(given)


def test_the_launch_file_for_nav2_starts_the_server_and_its_manager(launch_file, monkeypatch):
    follow = launch_file(ROOT / 'launch' / 'follow.launch.py')
    kinds_of = kinds(follow.generate_launch_description().words[0])
    assert kinds_of == ['DeclareLaunchArgument'] * 3 + [
        'OpaqueFunction', 'IncludeLaunchDescription', 'Node', 'Node']
    installed(monkeypatch)
    with pytest.raises(ValueError, match='follow.launch.py needs opennav_following: install '):
        follow.check(None)
