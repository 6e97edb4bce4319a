"""Measure detections: average precision, thresholds, calibration, failures; report and card."""
