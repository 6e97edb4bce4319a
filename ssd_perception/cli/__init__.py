"""The verbs of `python -m ssd_perception`, one module each; they import what they need late."""
