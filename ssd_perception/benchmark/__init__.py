"""Measure speed on this machine: stages, runtimes, other detectors, and the node."""
