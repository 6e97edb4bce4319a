"""What every test shares: a ROS graph of its own, apart from the network's and a robot's."""

import os

# Set, not defaulted: a test started in a robot's shell must not publish into the robot's graph.
# Domains above 101 collide with the ports the kernel hands out.
os.environ['ROS_DOMAIN_ID'] = str(os.getpid() % 100 + 1)
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
