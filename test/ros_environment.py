"""Environment of tests that use DDS; imported before any participant is made."""

from __future__ import annotations

import os
from pathlib import Path

from ssd_perception.ros.dds import PROFILE_VARIABLES, profile_variable

ROOT = Path(__file__).parents[1]

# Read by Fast DDS when a participant is made. Images are large: what publishes them here needs
# more than the default shared-memory segment. A domain of our own keeps other robots out.
for name in PROFILE_VARIABLES:
    os.environ.pop(name, None)
os.environ[profile_variable()] = str(ROOT / 'config' / 'fastdds_large_images.xml')
os.environ.pop('FASTDDS_BUILTIN_TRANSPORTS', None)
