"""The Fast DDS profile for large images: where it lies, and how a process is given it."""

from __future__ import annotations

import os
from pathlib import Path

from ssd_perception.inference.resolve import weights_folders

# Fast DDS 3, from Kilted on, warns of the second name; Fast DDS 2, up to Jazzy, knows no other.
PROFILE_VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
# On the publisher's side alone FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA is easier to remember, but
# keeps a shared-memory segment of 512 kB: with all cores busy most 640x640 frames were lost.
NAME = 'fastdds_large_images.xml'


def large_images_profile() -> Path:
    """Return the shipped profile's path; its bare name when it is not installed."""
    # The same places hold the package's configuration.
    candidates = [folder.parent / 'config' / NAME for folder in weights_folders()]
    return next((path for path in candidates if path.is_file()), Path(NAME))


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


def remedy() -> str:
    """Return what to set for a publisher of large images, in words."""
    now, before = PROFILE_VARIABLES
    return f'{now}={large_images_profile()} (up to ROS 2 Jazzy the name is {before})'
