"""Export weights to ONNX, in fp32 and with --int8 also quantised, for machines without torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from ssd_perception.core.errors import SettingError

MAX_AP50_LOSS, MAX_COCO_AP_LOSS = 0.005, 0.01


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('--weights', default='', help='path or name (default: rover)')
    parser.add_argument('--out', type=Path, metavar='DIR',
                        help='folder for NAME.onnx and NAME.int8.onnx (default: beside the '
                        'weights, where every runtime finds them)')
    parser.add_argument('--int8', action='store_true',
                        help='quantise as well, calibrated on the images of --data')
    parser.add_argument('--data', type=Path, metavar='DIR',
                        help='for --int8: folder in any layout, with images like the '
                        "camera's")
    parser.add_argument('--split', default='train',
                        help='split to calibrate on (default: train)')
    parser.add_argument('--val-split', default='val',
                        help='split to measure both files on (default: val)')
    parser.add_argument('--pictures', type=int, default=128, metavar='N',
                        help='images to calibrate on, spread over the split (default: 128)')


def run(args: argparse.Namespace) -> int:
    """Export; with --int8 the exit code is 1 when that cost more accuracy than is allowed."""
    from ssd_perception.inference.export import export_onnx
    from ssd_perception.inference.exported import beside, is_exported
    from ssd_perception.inference.resolve import resolve_weights

    weights = resolve_weights(args.weights)
    if is_exported(weights):
        raise SettingError(f'{weights} is exported already; give the .safetensors file it was '
                           'made from.')
    if args.int8 and not args.data:
        raise SettingError("--int8 needs --data: a folder of images like the camera's, from "
                           'which the ranges of all layers are taken.')
    if args.pictures < 1:
        raise SettingError(f'--pictures must be at least 1, got {args.pictures}.')
    chosen, validation = _samples(args) if args.int8 else ([], [])
    folder = (args.out or weights.parent).expanduser().absolute()
    fp32 = export_onnx(weights, folder / beside(weights, 'fp32').name)
    print(f'{fp32}: {fp32.stat().st_size / 1e6:.1f} MB, fp32')
    if not args.int8:
        return 0
    return _int8(args, fp32, folder / beside(weights, 'int8').name, chosen, validation)


def _samples(args: argparse.Namespace) -> tuple[list, list]:
    """Return the samples to calibrate on and those to measure on (none where there are none)."""
    from ssd_perception.data.layout import has_split, read_split

    samples = read_split(args.data, args.split, None)
    chosen = samples[::max(1, len(samples) // args.pictures)][:args.pictures]
    return chosen, (read_split(args.data, args.val_split, None)
                    if has_split(args.data, args.val_split) else [])


def _int8(args: argparse.Namespace, fp32: Path, out: Path, chosen: list,
          validation: list) -> int:
    """Quantise, measure both, write the figures into the file, print them."""
    from tqdm import tqdm

    from ssd_perception.imaging.files import read_picture
    from ssd_perception.inference.quantise import describe_calibration, quantise

    name = args.data.expanduser().resolve().name
    calibration = {'data': f'{name} {args.split}', 'pictures': len(chosen)}
    quantise(fp32, (read_picture(sample.path) for sample in tqdm(
        chosen, 'calibrate', unit='img')), calibration, out)
    print(f'{out}: {out.stat().st_size / 1e6:.1f} MB, int8, calibrated on {len(chosen)} pictures '
          f'of {name} {args.split}')
    if not validation:
        print(f'There is no split "{args.val_split}" in {args.data}: accuracy was not measured.')
        return 0
    figures = {path: _measured(path, validation) for path in (fp32, out)}
    print(f'measured on {name} {args.val_split}, {len(validation)} pictures:')
    for path, found in figures.items():
        print(f'  {path.name}: AP50 {found["voc10_ap50"]:.4f}, COCO AP {found["coco_ap"]:.4f}')
    before, after = figures.values()
    loss = before['voc10_ap50'] - after['voc10_ap50'], before['coco_ap'] - after['coco_ap']
    print(f'  lost: AP50 {loss[0]:.4f}, COCO AP {loss[1]:.4f}')
    describe_calibration(out, calibration | {
        'measured_on': f'{name} {args.val_split}', 'fp32': before, 'int8': after})
    if loss[0] > MAX_AP50_LOSS or loss[1] > MAX_COCO_AP_LOSS:
        print(f'That is more than is allowed ({MAX_AP50_LOSS:g}; {MAX_COCO_AP_LOSS:g}): '
              'calibrate on more images, or run fp32.')
        return 1
    return 0


def _measured(path: Path, samples: list) -> dict[str, float]:
    from ssd_perception.evaluation.accuracy import evaluate
    from ssd_perception.inference.detector import Detector

    detector = Detector.from_weights(path, device='cpu')
    print(detector.describe())
    found = evaluate(detector, samples, progress=True)
    return {'voc10_ap50': found.voc10_ap50, 'coco_ap': found.coco_ap}
