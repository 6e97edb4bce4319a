"""Import torchvision's COCO-trained SSDs: persons, dogs, chairs, cars ... without training."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('network', choices=('ssdlite320', 'ssd300'),
                        help='ssdlite320: SSDlite320-MobileNetV3-Large, for a CPU; ssd300: '
                        'SSD300-VGG16, more accurate and much slower')
    parser.add_argument('--out', type=Path, required=True, metavar='NAME',
                        help='NAME.safetensors, NAME.onnx, NAME.int8.onnx and the card NAME.md '
                        'are written, such as weights/coco')
    parser.add_argument('--file', type=Path, metavar='FILE.pth',
                        help="torchvision's file, brought here; without it torchvision downloads "
                        'it')
    parser.add_argument('--pictures', type=Path, metavar='DIR',
                        help="folder of images like the camera's, to calibrate int8 on (default: "
                        'the rendered ones of the source tree)')


def run(args: argparse.Namespace) -> int:
    """Import, and say how to run it."""
    from ssd_perception.evaluation import import_torchvision

    result = import_torchvision.run(import_torchvision.ImportOptions(
        args.network, args.out, args.file, args.pictures))
    print(f'Run it with weights:={result.weights}, or by the name {result.weights.stem} where it '
          'lies in the folder of the shipped weights.')
    return 0
