"""Run a rosbag2 recording through the detector: a recording of results, a video and a page."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from ssd_perception.cli.detector_arguments import add_detector_arguments, detector_options
from ssd_perception.core.errors import SettingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument('bag', type=Path, help='rosbag2 folder, or an .mcap or .db3 file; a '
                        'broken one is read as far as it goes')
    parser.add_argument('--out', type=Path, default=Path('replay_output'), metavar='DIR',
                        help='folder for the results (default: replay_output)')
    add_detector_arguments(parser)
    parser.add_argument('--topics', nargs='+', default=[], metavar='TOPIC',
                        help='images to look at (default: all cameras)')
    parser.add_argument('--against', metavar='TRUTH', help='measure AP: a folder in VOC layout, '
                        'also as DIR:SPLIT, or a topic of ground truth in the recording')
    parser.add_argument('--workers', type=int, default=0, metavar='N',
                        help='networks side by side (default: on a CPU one per core)')
    parser.add_argument('--batch', type=int, default=1, metavar='N',
                        help='frames that the network takes at once (default: 1)')
    parser.add_argument('--storage', choices=('mcap', 'sqlite3'), default='mcap',
                        help='of the recording written (default: mcap)')
    parser.add_argument('--originals', action='store_true',
                        help='copy the messages of the recording too')
    parser.add_argument('--namespace', default='', metavar='NS',
                        help='goes before the topics of the results')
    parser.add_argument('--no-pictures', action='store_true',
                        help='detections only: no annotated images, no video')
    parser.add_argument('--jpeg-quality', type=int, default=80, metavar='Q',
                        help='of the annotated images, 1 to 100 (default: 80)')
    parser.add_argument('--fresh', action='store_true',
                        help='discard an interrupted run instead of continuing it')


def run(args: argparse.Namespace) -> int:
    """Replay; one line at the end says what was found, and what was lost."""
    from ssd_perception.bags.recovery import RecoveringBag
    from ssd_perception.core.result_folder import check_replaceable
    from ssd_perception.replay.assemble import check_topics
    from ssd_perception.replay.cameras import find_cameras

    for name, value, low, high in (('--batch', args.batch, 1, 1024),
                                   ('--workers', args.workers, 0, 64),
                                   ('--jpeg-quality', args.jpeg_quality, 1, 100)):
        if not low <= value <= high:
            raise SettingError(f'{name} must be from {low} to {high}, got {value}.')
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # can be continued as after Ctrl-C
    args.out = args.out.expanduser().absolute()
    check_replaceable(args.out)
    with RecoveringBag(args.bag) as bag:
        cameras = find_cameras(bag, args.topics, args.namespace)
        if args.originals:
            check_topics(bag, cameras)
        if not sum(bag.counts[camera.topic] for camera in cameras):
            raise SettingError(f'{args.bag} has no images on '
                               f'{", ".join(camera.topic for camera in cameras)}.')
        return _replay(args, bag, cameras)


def _detectors(args: argparse.Namespace) -> list:
    """Load the network as often as it is to run side by side."""
    import os
    from dataclasses import replace

    cores = len(os.sched_getaffinity(0))
    count = args.workers or max(1, min(8, cores // (args.threads or 1)))
    threads = args.threads or max(1, cores // count)

    options = replace(detector_options(args), threads=threads)
    first = options.load()
    if not first.device.startswith('cpu') and not args.workers:
        count = 1
    return [first, *(options.load() for _ in range(count - 1))]


def _replay(args: argparse.Namespace, bag, cameras) -> int:
    from dataclasses import replace

    from ssd_perception import __version__
    from ssd_perception.evaluation.evaluate import MAX_DETECTIONS, SCORE_THRESHOLD
    from ssd_perception.replay.assemble import Results
    from ssd_perception.replay.cameras import others
    from ssd_perception.replay.chunks import Identity, WorkFolder, recorded_files
    from ssd_perception.replay.ground_truth import read_truth
    from ssd_perception.replay.published import Published

    detectors = _detectors(args)
    detector = detectors[0]
    print(detector.describe() + (f', {len(detectors)} side by side' if detectors[1:] else ''))
    print(f'Looking at {", ".join(camera.topic for camera in cameras)}'
          + ''.join(f'; not at {topic}' for topic in others(bag, cameras)) + '.')
    topics = [camera.topic for camera in cameras]
    truth = read_truth(args.against, bag, topics, detector.class_names) if args.against else None
    shown = Published(detector.settings, detector.class_names)
    # AP is measured over all scores, the page shows what narrowly missed. What is published is
    # chosen from that, and the same as a detector with the user's threshold finds: a weaker box
    # never removes a stronger one.
    lowest = SCORE_THRESHOLD if truth else float(shown.thresholds.min()) / 2
    low = replace(detector.settings, score_threshold=lowest, max_detections=MAX_DETECTIONS)
    settings = {
        'weights': detector.path.name, 'score_threshold': shown.settings.score_threshold,
        'nms_threshold': shown.settings.nms_threshold, 'device': detector.device,
        'runtime': detector.runtime, 'precision': detector.precision, 'threads': detector.threads,
        'workers': len(detectors), 'batch': args.batch, 'pictures': not args.no_pictures,
        'jpeg_quality': args.jpeg_quality, 'version': __version__}
    identity = Identity(recorded_files(args.bag.expanduser()), detector.weights_hash,
                        {**settings, 'lowest': lowest, 'network': detector.network_hash,
                         'bag': str(args.bag.expanduser().absolute()),
                         'topics': topics, 'names': [camera.name for camera in cameras]})
    with WorkFolder(args.out, identity, args.fresh) as folder:
        results = Results(folder, cameras, detector.class_names, shown, detector.describe(),
                          shown.settings.score_threshold, not args.no_pictures)
        speed = _detect(args, bag, detectors, results, low)
        summary = {'bag': str(args.bag), 'frames_per_s': speed, 'settings': settings}
        if truth is not None:
            summary['against'] = truth.figures(folder.frames(), detector.class_names)
        summary = _assemble(args, bag, results, summary)
        folder.remove()
    _tell(summary, args.out)
    return 0


def _detect(args: argparse.Namespace, bag, detectors, results, low) -> float | None:
    """Answer the frames not done yet; return frames per second, None when all were done."""
    from tqdm import tqdm

    from ssd_perception.replay.chunks import CHUNK_FRAMES
    from ssd_perception.replay.pipeline import Output, Pipeline

    for detector in detectors:
        detector.warm_up(args.batch)
    total = sum(bag.counts[camera.topic] for camera in results.cameras)
    done = min(total, len(results.folder.done) * CHUNK_FRAMES)
    if done:
        print(f'Continuing an interrupted run behind frame {done} of {total}.')
    pipeline = Pipeline(bag, results.cameras, detectors,
                        Output(results.pictures, args.jpeg_quality, results.shown),
                        results.folder, args.batch, low)
    start = time.perf_counter()
    with tqdm(total=total, initial=done, desc='replay', unit='frame',
              disable=not sys.stderr.isatty()) as bar:
        try:
            pipeline.run(bar.update)
        except KeyboardInterrupt:
            bar.close()
            print('Interrupted; the same command continues behind frame '
                  f'{len(results.folder.done) * CHUNK_FRAMES}.', file=sys.stderr)
            raise
    seconds = time.perf_counter() - start
    return round(pipeline.answered / seconds, 2) if pipeline.answered else None


def _assemble(args: argparse.Namespace, bag, results, summary: dict) -> dict:
    """Write the results' folder; return the whole summary."""
    from tqdm import tqdm

    from ssd_perception.core.result_folder import MARK, result_folder
    from ssd_perception.replay import summary as figures
    from ssd_perception.replay.assemble import write_bag, write_lines, write_videos
    from ssd_perception.replay.replay_page import replay_page

    thresholds = results.shown.thresholds
    summary = {**figures.figures(results), **summary}
    with result_folder(args.out) as folder:
        with tqdm(total=summary['frames'], desc='write', unit='frame', leave=False,
                  disable=not sys.stderr.isatty()) as bar:
            lacking = write_bag(folder / 'bag', results, args.storage,
                                bag if args.originals else None, bar.update)
        write_lines(folder / 'detections.jsonl', results)
        videos = write_videos(folder, results)
        summary['losses'] = bag.losses()
        summary['not_copied'] = lacking
        (folder / 'report.html').write_text(replay_page(
            f'{results.method.partition(" ")[0]} on {args.bag.name}', folder, summary,
            results.class_names, figures.tracks(results, thresholds),
            figures.tiles(results, thresholds), videos), encoding='utf-8')
        (folder / MARK).write_text(json.dumps(summary, indent=2) + '\n', encoding='utf-8')
    return summary


def _tell(summary: dict, out: Path) -> None:
    for loss in summary['losses']:
        print(loss)
    if summary['losses']:
        print(f'Read {summary["frames"]} frames over {summary["seconds"]:.1f} s.')
    if summary['unreadable']:
        print(f'{summary["unreadable"]} pictures could not be decoded.')
    for topic in summary['not_copied']:
        print(f'{topic} was not copied: its type is not known.')
    speed = summary['frames_per_s']
    print(f'{summary["detections"]} detections in {summary["frames_with_detections"]} of '
          f'{summary["frames"]} frames' + (f', {speed:.1f} frames/s.' if speed else '.'))
    if 'against' in summary:
        figures = summary['against']
        print(f'AP50 {figures["voc10_ap50"]:.4f} (VOC 2010), {figures["voc07_ap50"]:.4f} (2007) '
              f'on {figures["images"]} frames, against {figures["source"]}.')
    print(f'Results are in {out}; look at {out / "report.html"}.')
