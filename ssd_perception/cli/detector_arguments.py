"""Which detector a verb runs: the arguments that all verbs with one detector share."""

from __future__ import annotations

import argparse

from ssd_perception.core.settings import add_arguments, from_arguments
from ssd_perception.inference.options import DetectorOptions


def add_detector_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --weights, --device, --runtime, --precision, --threads and --score-threshold."""
    add_arguments(parser.add_argument_group('detector'), DetectorOptions)


def detector_options(args: argparse.Namespace) -> DetectorOptions:
    """Return the options that those arguments hold.

    Raises:
        SettingError: for a value out of its range.
    """
    return from_arguments(DetectorOptions, args)
