"""OpenVINO without its telemetry: a robot's detector talks to nobody but ROS.

Importing openvino reports to Google Analytics, from a process forked for it, unless the user has
opted out. Where `openvino_telemetry` cannot be imported, openvino uses a stub of its own.
"""

from __future__ import annotations

import sys

sys.modules.setdefault('openvino_telemetry', None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402  # only after the line above

__all__ = ['ov']
