"""From a recorded drive to training data: the frames worth a person's time, with boxes."""
