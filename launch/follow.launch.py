"""Follow an object with nav2: detector with positions, following server, lifecycle manager.

ros2 launch ssd_perception follow.launch.py image:=/camera/image_raw params_file:=my_detector.yaml

The detector's parameters have to switch positions on; see docs/tracks_and_positions.md. Then a
FollowObject goal with the pose topic ``target`` starts the robot, by hand or, in Lyrical, from a
behaviour tree such as config/nav2_follow.xml.
"""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from ssd_perception.ros.launching import require

SHARE = Path(get_package_share_directory('ssd_perception'))


def generate_launch_description() -> LaunchDescription:
    """Start the detector by its own launch file, and nav2's server beside it."""
    following = Node(
        package='opennav_following', executable='opennav_following', name='following_server',
        parameters=[LaunchConfiguration('following_params')], output='screen')
    manager = Node(
        package='nav2_lifecycle_manager', executable='lifecycle_manager',
        name='lifecycle_manager_following', output='screen',
        parameters=[{'autostart': True, 'node_names': ['following_server']}])
    return LaunchDescription([
        DeclareLaunchArgument('image', default_value='image', description='Topic of the camera.'),
        DeclareLaunchArgument(
            'params_file', default_value=str(SHARE / 'config' / 'detector.yaml'),
            description='Parameters of the detector, with positions on.'),
        DeclareLaunchArgument(
            'following_params', default_value=str(SHARE / 'config' / 'nav2_follow.yaml'),
            description="Parameters of nav2's following server."),
        OpaqueFunction(function=check),  # before anything is started
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'detector.launch.py')),
            launch_arguments={name: LaunchConfiguration(name)
                              for name in ('image', 'params_file')}.items()),
        following, manager])


def check(context) -> list:
    """Refuse in one sentence where nav2's following server, of Jazzy or Lyrical, is missing."""
    for package in ('opennav_following', 'nav2_lifecycle_manager'):
        require(package, package.replace('_', '-'), 'follow.launch.py')
    return []
