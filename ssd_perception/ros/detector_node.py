"""The executable `detector_node`: run the node, or say in one sentence which module is missing.

    ros2 run ssd_perception detector_node --ros-args -r image:=/camera/image_raw
    python -m ssd_perception.ros.detector_node --ros-args -r image:=/camera/image_raw
"""

from __future__ import annotations

import os
import sys

from ssd_perception.core.missing_module import describe_missing


def main(arguments: list[str] | None = None) -> None:
    """Run the node and leave the process; see ``ros.process.run``.

    A Python module that is not installed is one sentence on stderr and exit code 1. With
    SSD_PERCEPTION_TRACEBACK set in the environment it is a traceback, as in the commands.
    """
    try:
        # Only here: whatever is not installed is met while this is imported.
        from ssd_perception.ros.node import DetectorNode
        from ssd_perception.ros.process import run
    except ModuleNotFoundError as error:
        sentence = describe_missing(error)
        if not sentence or os.environ.get('SSD_PERCEPTION_TRACEBACK'):
            raise
        print(f'detector_node: {sentence}', file=sys.stderr)
        sys.exit(1)
    run(DetectorNode, arguments)


if __name__ == '__main__':
    main()
