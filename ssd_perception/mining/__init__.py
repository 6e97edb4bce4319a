"""Choose frames of a recording to label, and write them with boxes to correct."""
