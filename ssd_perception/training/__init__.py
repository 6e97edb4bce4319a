"""Train the detector: matching, losses, schedule, checkpoints, and the loop over them."""
