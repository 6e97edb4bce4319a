"""From an image to Detections, in any runtime."""

import os

# ONNX Runtime from 1.29 on reports the machine and the names, hashes and times of models to
# Microsoft, and keeps an identifier below the user's home folder. It looks for this once, when it
# is imported. Whoever sets 0 wants it.
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
