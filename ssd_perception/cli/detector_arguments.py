"""Which detector a verb runs: the arguments that all verbs with one detector share."""

from __future__ import annotations

import argparse


def add_detector_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --weights, --device, --runtime and --precision, as ``Detector`` takes them."""
    parser.add_argument('--weights', default='', help='path or name (default: rover)')
    parser.add_argument('--device', default='auto', help='auto, cpu or cuda')
    parser.add_argument('--runtime', default='auto',
                        help='what runs the network: auto (the fastest installed), torch, '
                        'onnxruntime or another of docs/deploying.md')
    parser.add_argument('--precision', default='auto',
                        help='auto, fp32, fp16, bf16 or int8')
