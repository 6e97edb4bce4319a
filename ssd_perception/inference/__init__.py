"""From an image to Detections, in any runtime."""
