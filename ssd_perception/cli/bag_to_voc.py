"""Choose the frames of a recording that are worth labelling; write them with boxes to correct."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from ssd_perception.cli.detector_arguments import add_detector_arguments, detector_options
from ssd_perception.core.errors import SettingError

_HOW = {'mined': 'uncertainty, novelty and spacing', 'random': 'chance', 'even': 'even spacing'}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('bag', type=Path, help='rosbag2 folder, or an .mcap or .db3 file; a '
                        'broken one is read as far as it goes')
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder to create; one that exists is never touched')
    parser.add_argument('--count', type=int, default=50, metavar='N',
                        help='frames wanted (default: 50)')
    parser.add_argument('--apart', type=float, default=0.5, metavar='S',
                        help='seconds that frames of one camera are at least apart '
                        '(default: 0.5)')
    parser.add_argument('--choose', choices=tuple(_HOW), default='mined',
                        help='mined: unsure and unlike the others; random or even: to compare '
                        'with (default: mined)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='of --choose random')
    parser.add_argument('--split', default='train', help='name of the split (default: train)')
    add_detector_arguments(parser)
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC',
                        help='images to look at (default: all cameras)')
    parser.add_argument('--fresh', action='store_true',
                        help='discard an interrupted run instead of continuing it')


def run(args: argparse.Namespace) -> int:
    """Choose and write; the last lines say what to do with the folder."""
    from ssd_perception.bags.recovery import RecoveringBag
    from ssd_perception.replay.cameras import find_cameras

    if not 1 <= args.count <= 1_000_000:
        raise SettingError(f'--count must be from 1 to 1000000, got {args.count}.')
    if not 0 <= args.apart <= 3600:
        raise SettingError(f'--apart must be from 0 to 3600 seconds, got {args.apart}.')
    if not args.split.replace('_', '').replace('-', '').isalnum():
        raise SettingError(f'--split must be letters, digits, - and _, got "{args.split}".')
    args.out = args.out.expanduser().absolute()
    if args.out.exists():  # a person's corrections may be in there
        raise FileExistsError(f'{args.out} exists already, and what was corrected there would be '
                              'lost; choose another --out.')
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # can be continued as after Ctrl-C
    with RecoveringBag(args.bag) as bag:
        cameras = find_cameras(bag, args.topics)
        if not sum(bag.counts[camera.topic] for camera in cameras):
            raise SettingError(f'{args.bag} has no images on '
                               f'{", ".join(camera.topic for camera in cameras)}.')
        return _mine(args, bag, cameras)


def _mine(args: argparse.Namespace, bag, cameras) -> int:
    from dataclasses import replace

    from ssd_perception import __version__
    from ssd_perception.evaluation.evaluate import MAX_DETECTIONS
    from ssd_perception.mining.features import Features, FeaturesUnavailable
    from ssd_perception.replay.chunks import Identity, WorkFolder, recorded_files
    from ssd_perception.replay.published import Published

    detector = detector_options(args).load()
    print(detector.describe())
    shown = Published(detector.settings, detector.class_names)
    low = replace(detector.settings, max_detections=MAX_DETECTIONS,
                  score_threshold=float(shown.thresholds.min()) / 2)
    look, notes = None, []
    if args.choose == 'mined':
        try:
            assert detector.path is not None  # from_weights
            look = Features(detector.path, detector.device)
            if detector.runtime != 'torch':
                print('Novelty is measured by torch in fp32, with the backbone of '
                      f'{detector.path.name}.')
        except FeaturesUnavailable as error:
            notes.append(f'Novelty is left out: {error}. Frames are chosen by uncertainty and '
                         'spacing alone.')
            print(notes[-1])
    identity = Identity(recorded_files(args.bag.expanduser()), detector.weights_hash, {
        'bag': str(args.bag.expanduser().absolute()), 'topics': [c.topic for c in cameras],
        'lowest': low.score_threshold, 'device': detector.device,
        'runtime': detector.runtime, 'precision': detector.precision,
        'network': detector.network_hash,
        'features': look is not None, 'version': __version__})
    with WorkFolder(args.out, identity, args.fresh, 'bag_to_voc') as folder:
        _look(bag, cameras, lambda images: detector.detect(images, low).detections, look, folder)
        summary = _write(args, bag, cameras, detector, shown, folder, notes)
        folder.remove()
    _tell(args, summary)
    return 0


def _look(bag, cameras, detect, look, folder) -> None:
    """Answer the frames that are not done yet."""
    from tqdm import tqdm

    from ssd_perception.mining.scan import scan
    from ssd_perception.replay.chunks import CHUNK_FRAMES

    total = sum(bag.counts[camera.topic] for camera in cameras)
    done = min(total, len(folder.done) * CHUNK_FRAMES)
    if done:
        print(f'Continuing an interrupted run behind frame {done} of {total}.')
    with tqdm(total=total, initial=done, desc='look', unit='frame',
              disable=not sys.stderr.isatty()) as bar:
        try:
            scan(bag, cameras, detect, look, folder, bar.update)
        except KeyboardInterrupt:
            bar.close()
            print('Interrupted; the same command continues behind frame '
                  f'{len(folder.done) * CHUNK_FRAMES}.', file=sys.stderr)
            raise


def _write(args, bag, cameras, detector, shown, folder, notes) -> dict:
    """Choose, and write the folder; return what ``selection.json`` holds."""
    from ssd_perception.core.result_folder import result_folder
    from ssd_perception.mining import choose
    from ssd_perception.mining.labelled_folder import recorded_pictures, stems, write_folder
    from ssd_perception.mining.scan import examined
    from ssd_perception.mining.selection import Selection
    from ssd_perception.mining.selection_page import selection_page

    answers, features = examined(folder)
    thresholds = shown.thresholds
    if args.choose == 'mined':
        choices = choose.choose_mined(answers, thresholds, features, args.count,
                                      round(args.apart * 1e9))
    elif args.choose == 'random':
        choices = choose.choose_random(answers, thresholds, args.count, args.seed)
    else:
        choices = choose.choose_even(answers, thresholds, args.count)
    if not choices:
        raise SettingError(f'No picture of {args.bag} can be decoded: {answers[0].error}')
    if len(choices) < args.count:
        notes.append(f'Only {len(choices)} of {args.count} frames: '
                     + (f'no more are {args.apart:g} s apart; --apart takes less.'
                        if args.choose == 'mined' else 'there are no more.'))
    picked = [answers[choice.place] for choice in choices]
    names = dict(zip((answer.index for answer in picked), stems(picked, cameras)))
    selection = Selection(answers, choices, cameras, detector.class_names, thresholds)
    with result_folder(args.out) as out:
        pictures = write_folder(out, args.out.name, args.split,
                                recorded_pictures(bag, cameras, picked), names,
                                detector.class_names, shown, detector.path.name)
        summary = selection.summary({picture.stem: picture for picture in pictures}, names)
        summary |= {'bag': str(args.bag), 'weights': detector.path.name, 'how': _HOW[args.choose],
                    'notes': [*notes, *bag.losses()], 'split': args.split}
        (out / 'selection.json').write_text(json.dumps(summary, indent=1) + '\n')
        (out / 'selection.html').write_text(selection_page(
            f'{len(pictures)} frames of {args.bag.name}', summary, selection.doubts(),
            selection.tiles(out / 'JPEGImages', summary)), encoding='utf-8')
    return summary


def _tell(args: argparse.Namespace, summary: dict) -> None:
    for note in summary['notes']:
        if not note.startswith('Novelty'):  # was told at once
            print(note)
    boxes = sum(len(chosen['boxes']) for chosen in summary['chosen'])
    print(f'{len(summary["chosen"])} of {summary["frames"]} frames, with {boxes} boxes, are in '
          f'{args.out}; look at {args.out / "selection.html"}.')
    print('Correct every picture before training: the boxes are guesses, and the frames were '
          'chosen because the guesses are doubtful.')
