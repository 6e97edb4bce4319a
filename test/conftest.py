"""What every test shares: a ROS graph and a cache of its own, apart from a robot's."""

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

# Set, not defaulted: a test started in a robot's shell must not publish into the robot's graph.
# Domains above 101 collide with the ports the kernel hands out.
os.environ['ROS_DOMAIN_ID'] = str(os.getpid() % 100 + 1)
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

# A run in the background begins with SIGINT ignored, and so would every child: Ctrl-C could not
# be tested.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Weights made by tests are exported for the fastest runtime like any other: not into the user's
# cache.
os.environ['SSD_PERCEPTION_CACHE'] = tempfile.mkdtemp(prefix='ssd_perception_cache_')
atexit.register(shutil.rmtree, os.environ['SSD_PERCEPTION_CACHE'], ignore_errors=True)

# A player, a drive or a viewer has a deadline to keep, which it misses beside much other work.
TIMED = {'demo/test_demo.py', 'live/test_viewer.py', 'sim/test_drive.py'}
# Under another name such a file would run beside the others, and fail now and then.
assert all((Path(__file__).parent / name).is_file() for name in TIMED), TIMED


def _timed(path: Path) -> bool:
    return path.relative_to(Path(__file__).parent).as_posix() in TIMED


def pytest_ignore_collect(collection_path, config):
    """Spare a run of timed tests alone the imports of all others."""
    alone = config.option.markexpr.endswith(' and timed')
    return True if alone and collection_path.is_file() and not _timed(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests that `make test` runs with little beside them."""
    for item in items:
        if _timed(item.path):
            item.add_marker('timed')
