"""What depends on the middleware: Fast DDS's profile for large images, and the remedies."""

from __future__ import annotations

import os
from pathlib import Path

from ssd_perception.inference.resolve import weights_folders

# Fast DDS 3, from Kilted on, warns of the second name; Fast DDS 2, up to Jazzy, knows no other.
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
# On the publisher's side alone FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA is easier to remember, but
# keeps a shared-memory segment of 512 kB: with all cores busy most 640x640 frames were lost.
NAME, DETECTOR_NAME = 'fastdds_large_images.xml', 'fastdds_detector.xml'


def large_images_profile() -> Path:
    """Return the shipped profile's path; its bare name when it is not installed."""
    # The same places hold the package's configuration.
    candidates = [folder.parent / 'config' / NAME for folder in weights_folders()]
    return next((path for path in candidates if path.is_file()), Path(NAME))


def detector_profile() -> Path:
    """Return the path of the profile for the node, which receives large images only."""
    return large_images_profile().with_name(DETECTOR_NAME)


def profile_variable() -> str:
    """Return the variable that the Fast DDS of this environment reads its profile from."""
    # Sourced or from wheels, ROS puts its libraries there; only version 2 is named after RTPS.
    folders = os.environ.get('LD_LIBRARY_PATH', '').split(os.pathsep)
    is_2 = any(any(Path(folder).glob('libfastrtps.so*')) for folder in folders if folder)
    return PROFILE_VARIABLES[is_2]


def lacks_profile() -> bool:
    """Say whether Fast DDS is used here, as by default, and the environment has no profile."""
    is_fast = 'fastrtps' in os.environ.get('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
    return is_fast and not any(os.environ.get(name) for name in PROFILE_VARIABLES)


def middleware() -> str:
    """Return the rmw implementation in use, for example ``rmw_fastrtps_cpp``."""
    from rclpy.utilities import get_rmw_implementation_identifier  # launch files need no rclpy

    return get_rmw_implementation_identifier()


def remedy(rmw: str) -> str:
    """Return what to do where large images get lost, in words; by the documentation of ``rmw``.

    Fast DDS's and Cyclone DDS's have been measured here.
    """
    if 'cyclonedds' in rmw:
        return ('set net.core.rmem_max=2147483647 with sysctl HERE, and SocketReceiveBufferSize '
                'min="10MB" in the file that CYCLONEDDS_URI names')
    if 'zenoh' in rmw:
        return ('start the PUBLISHER and this node with '
                'ZENOH_CONFIG_OVERRIDE=transport/shared_memory/enabled=true')
    if 'fastrtps' in rmw:
        now, before = PROFILE_VARIABLES
        return (f'start the PUBLISHER with {now}={large_images_profile()} (up to ROS 2 Jazzy the '
                f'name is {before})')
    return f'raise the buffers of {rmw}'


def discovery_hint(rmw: str) -> str:
    """Return what else may be the reason that nobody is seen; empty where nothing is known."""
    if 'zenoh' in rmw:
        return ('; under rmw_zenoh nodes find each other only while its router runs: '
                'ros2 run rmw_zenoh_cpp rmw_zenohd')
    return ''
