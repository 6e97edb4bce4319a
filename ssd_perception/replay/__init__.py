"""Run a recording through the detector, frame by frame in order, and keep the results."""
