"""Start the detector: ros2 launch ssd_perception detector.launch.py image:=/camera/image_raw.

What the arguments mean is decided in ssd_perception/ros/launching.py.
"""

from collections.abc import Callable
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.ros_adapters import get_ros_node

from launch import LaunchDescription
from ssd_perception.ros import launching
from ssd_perception.ros.dds import profile_variable

# Empty means: the value of params_file, or the node's default, which is not repeated here.
ARGUMENTS = (
    ('image', 'image', 'Topic of the camera; the node finds its /compressed topic itself.'),
    ('cameras', '', 'Several cameras: front,rear or front=/front/image_raw,rear=/rear/image.'),
    ('weights', '', 'Path of weights, or the name of shipped ones, such as rover.'),
    ('classes', '', 'Classes to publish: person,dog or [person, dog].'),
    ('device', '', 'Where the network runs: auto, cpu or cuda.'),
    ('runtime', '', 'What runs the network: auto, openvino, onnxruntime, opencv, torch, '
                    'tensorrt.'),
    ('params_file', str(Path(get_package_share_directory('ssd_perception'), 'config',
                             'detector.yaml')), 'YAML file of parameters.'),
    ('namespace', '', 'Namespace of the node; it also prefixes a relative image topic.'),
    ('autostart', '', 'false leaves configuring and activating to a lifecycle manager.'),
    ('respawn', 'false', 'true starts the node again when it ends, after a second.'),
    ('use_sim_time', '', 'true takes the time from /clock; bag sets it too.'),
    ('rviz', 'false', 'true shows the camera and the detections in RViz.'),
    ('bag', '', 'Path of a recording to play, with its time on /clock.'),
    ('bag_rate', '1.0', 'Pace of the recording: 2.0 plays it twice as fast.'),
    ('bag_loop', 'false', 'true plays the recording again and again.'),
    ('dds_profile', 'auto', 'Fast DDS profile for all that is started here, or none. auto: the '
                            'shipped one for large images, which the camera driver needs too.'),
    ('log_level', 'info', 'debug, info, warn, error or fatal.'),
)
LOOK_EVERY_S = 0.25
# RViz waits so long for a camera; with a recording, the player may wait for the network first.
CAMERA_WITHIN_S = 5.0
RECORDING_WITHIN_S = 120.0


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
    launching.check(given)
    actions = []
    profile = launching.dds_profile(given)
    if profile:
        actions.append(SetEnvironmentVariable(profile_variable(), profile))
    ended = {'on_exit': end}
    if launching.boolean(given, 'respawn'):
        ended = {'respawn': True, 'respawn_delay': 1.0}
    parameters = launching.parameters(given)
    actions.append(Node(
        package='ssd_perception', executable='detector_node', name=launching.DETECTOR,
        namespace=given['namespace'], parameters=parameters,
        additional_env=launching.node_environment(profile),
        remappings=launching.remappings(given),
        ros_arguments=['--log-level', given['log_level']], output='screen', **ended))
    if given['bag']:
        # Not before: loading the network takes a while, and the first images would be lost.
        actions += when(
            lambda graph, _: launching.is_listening(graph, given),
            lambda _: [ExecuteProcess(cmd=launching.player(given), output='screen')])
    if launching.boolean(given, 'rviz'):
        last_s = RECORDING_WITHIN_S if given['bag'] else CAMERA_WITHIN_S

        def show(views):
            path = launching.rviz_file(given, views)
            return [Node(package='rviz2', executable='rviz2', arguments=['-d', str(path)],
                         parameters=[{'use_sim_time': parameters[-1]['use_sim_time']}])]
        actions += when(lambda graph, waited_s: launching.published(graph, given) or (
            launching.views(given) if waited_s > last_s else None), show)
    return actions


def end(event, context) -> list | None:
    """End everything with the detector: without it the rest makes no sense."""
    if context.is_shutdown:
        return None
    if event.returncode:  # ros2 launch ends with code 1 only after an exception
        raise RuntimeError(f'The detector has ended with exit code {event.returncode}.')
    return [Shutdown(reason='the detector has ended')]


def when(found: Callable, then: Callable, waited_s: float = 0.0) -> list:
    """Return actions that look at the ROS graph until something is found in it.

    Args:
        found: takes a node to look with and the seconds waited; returns what it found, or None.
        then: takes that; returns the actions to go on with.
    """
    def look(context):
        result = found(get_ros_node(context), waited_s)
        return then(result) if result else when(found, then, waited_s + LOOK_EVERY_S)
    return [TimerAction(period=LOOK_EVERY_S, actions=[OpaqueFunction(function=look)])]
