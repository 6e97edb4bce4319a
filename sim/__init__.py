"""A rover in a simulated course: MuJoCo is the robot, the node and the follower are real."""
