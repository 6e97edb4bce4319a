"""Start the detector: ros2 launch ssd_perception detector.launch.py image:=/camera/image_raw."""

from pathlib import Path

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.event_handlers import OnProcessIO
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from ssd_perception.ros.dds import lacks_profile, profile_variable

DISCOVERY_S = 1.0  # until DDS has matched player and detector
SHARE = Path(get_package_share_directory('ssd_perception'))

# Empty means: what params_file or the node itself says. The node's defaults stand nowhere else.
ARGUMENTS = (
    ('image', 'image', 'Topic of the camera; its /compressed twin is found by itself.'),
    ('cameras', '', 'Several cameras: front,rear or front=/front/image_raw,rear=/rear/image.'),
    ('weights', '', 'Path or name of the weights.'),
    ('device', '', 'auto, cpu or cuda.'),
    ('runtime', '', 'What runs the network.'),
    ('params_file', str(SHARE / 'config' / 'detector.yaml'), 'YAML file of parameters.'),
    ('namespace', '', 'Namespace of the node; it also prefixes a relative image topic.'),
    ('autostart', '', 'false leaves configuring and activating to a lifecycle manager.'),
    ('respawn', 'false', 'true starts the node again when it ends, after a second.'),
    ('use_sim_time', '', 'true takes the time from /clock; a bag brings it along.'),
    ('rviz', 'false', 'true shows the camera and the detections in RViz.'),
    ('bag', '', 'Path of a recording to play, with its time on /clock.'),
    ('bag_rate', '1.0', 'Pace of the recording: 2.0 plays it twice as fast.'),
    ('bag_loop', 'false', 'true plays the recording again and again.'),
    ('dds_profile', 'auto', 'Fast DDS profile for all that is started here, or none. auto: the '
                            'shipped one for large images, which the camera driver needs too.'),
    ('log_level', 'info', 'debug, info, warn, error or fatal.'),
)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; what is started depends on their values."""
    return LaunchDescription([
        *(DeclareLaunchArgument(name, default_value=default, description=description)
          for name, default, description in ARGUMENTS),
        OpaqueFunction(function=start),
    ])


def start(context) -> list:
    """Return the actions for the arguments given."""
    given = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    check(given)
    # A bag's stamps are old: with wall time every age would be days.
    sim_time = boolean('use_sim_time', given['use_sim_time'] or str(bool(given['bag'])))
    overrides = {name: given[name] for name in ('weights', 'device', 'runtime') if given[name]}
    if given['autostart']:
        overrides['autostart'] = boolean('autostart', given['autostart'])
    cameras = [camera.partition('=') for camera in given['cameras'].split(',') if camera]
    if cameras:
        overrides['cameras'] = [name.strip() for name, _, _ in cameras]
    remappings = [(f'{name.strip()}/image', topic.strip()) for name, _, topic in cameras if topic]
    common = {'namespace': given['namespace'],
              'ros_arguments': ['--log-level', given['log_level']],
              'remappings': remappings or [('image', given['image'])]}
    actions = []
    profile = dds_profile(given['dds_profile'])
    if profile:
        actions.append(SetEnvironmentVariable(profile_variable(), profile))
    # Without the detector the rest makes no sense, and its exit code must be seen.
    ended = {'on_exit': Shutdown(reason='the detector has ended')}
    if boolean('respawn', given['respawn']):
        ended = {'respawn': True, 'respawn_delay': 1.0}
    detector = Node(
        package='ssd_perception', executable='detector_node', name='ssd_detector',
        parameters=[given['params_file'], {'use_sim_time': sim_time, **overrides}],
        output='screen', **ended, **common)
    actions.append(detector)
    if boolean('rviz', given['rviz']):
        actions.append(Node(
            package='rviz2', executable='rviz2', arguments=[
                '-d', str(SHARE / 'config' / 'detector.rviz')],
            parameters=[{'use_sim_time': sim_time}], **common))
    if given['bag']:
        played = ExecuteProcess(
            cmd=player(given['bag'], given['bag_rate'], boolean('bag_loop', given['bag_loop'])),
            output='screen')
        # Not before: loading the network takes a while, and the first images would be lost.
        callback = once_active(played)
        actions.append(RegisterEventHandler(OnProcessIO(
            target_action=detector, on_stdout=callback, on_stderr=callback)))
    return actions


def player(bag: str, rate: str, loop: bool) -> list[str]:
    """Return the command that plays a recording and publishes its time on /clock."""
    options = [bag, '--clock', '--rate', rate, *(['--loop'] if loop else [])]
    try:
        get_package_prefix('ros2bag')
    except PackageNotFoundError:
        # Ours starts when the detector listens, which loading its network may take a while.
        ours = Path(get_package_prefix('ssd_perception')) / 'lib/ssd_perception/ssd_perception'
        return [str(ours), 'play', *options, '--quiet', '--wait-timeout', '120']
    return ['ros2', 'bag', 'play', '--delay', str(DISCOVERY_S), *options]


def once_active(action):
    """Return a callback for output: ``action`` starts once, when the detector says "Active"."""
    started = []

    def callback(event):
        if b'Active on' in event.text and not started:
            started.append(True)
            return [action]
        return []
    return callback


def check(given: dict[str, str]) -> None:
    """Refuse in one sentence what would leave half of the processes running."""
    for name in ('params_file', 'bag'):
        if given[name] and not Path(given[name]).expanduser().exists():
            raise ValueError(f'Launch argument {name}: there is no {given[name]}.')
    if boolean('rviz', given['rviz']):
        try:
            get_package_prefix('rviz2')
        except PackageNotFoundError as error:
            raise ValueError('Launch argument rviz needs rviz2: install ros-$ROS_DISTRO-rviz2, or '
                             'leave it out.') from error


def dds_profile(text: str) -> str:
    """Return the path of the profile to use; empty for none.

    ``auto`` is the shipped one where Fast DDS is used and the environment names no other.
    """
    shipped = str(SHARE / 'config' / 'fastdds_large_images.xml')
    if text == 'auto':
        return shipped if lacks_profile() else ''
    return {'large_images': shipped, 'none': ''}.get(text, text)


def boolean(name: str, text: str) -> bool:
    """Return what a launch argument means; an unset one and ``false`` are False."""
    values = {'true': True, '1': True, 'false': False, '0': False, '': False}
    if text.lower() not in values:
        raise ValueError(f'Launch argument {name} must be true or false, got "{text}".')
    return values[text.lower()]
