"""What detections mean over time and in space: tracks, and positions in metres."""
