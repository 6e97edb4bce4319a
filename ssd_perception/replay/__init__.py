"""A recorded drive through the detector: every frame in order, with results to keep and see."""
