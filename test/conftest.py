"""What every test shares: a ROS graph of its own, apart from the network's and a robot's."""

import os
import signal

# Set, not defaulted: a test started in a robot's shell must not publish into the robot's graph.
# Domains above 101 collide with the ports the kernel hands out.
os.environ['ROS_DOMAIN_ID'] = str(os.getpid() % 100 + 1)
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

# A run in the background begins with SIGINT ignored, and so would every child: Ctrl-C could not
# be tested.
signal.signal(signal.SIGINT, signal.default_int_handler)
