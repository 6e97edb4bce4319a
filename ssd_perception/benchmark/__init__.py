"""How fast, on this machine: stages, runtimes, other detectors, and the node between processes."""
