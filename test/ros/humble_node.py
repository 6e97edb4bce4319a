"""The real detector node as on ROS 2 Humble: without what its rclpy lacks, and as strict."""

import os

# Humble checks every field that is set in a message; later ones do so when asked.
os.environ['ROS_PYTHON_CHECK_FIELDS'] = '1'

from rclpy.node import Node  # noqa: E402

from ssd_perception.ros.detector_node import main  # noqa: E402

if __name__ == '__main__':
    del Node.add_post_set_parameters_callback
    main()
