"""Choose the frames of a recording that are worth labelling, and write them with boxes."""
