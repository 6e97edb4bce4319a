"""How much of replay's time is the network's? Its frames/s beside the bare detector's.

    .venv/bin/python tools/benchmark_replay.py demo/recording

Bare is one Detector with all cores on pictures that are decoded already; replay reads, decodes,
draws, encodes and writes its chunks besides. Both run by turns in one process, each round in the
other order, so that a busy machine slows both alike; CPU time shows the difference even there.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from ssd_perception.bags.reader import RecoveringBag
from ssd_perception.cli.detector_arguments import add_detector_arguments
from ssd_perception.inference.detector import Detector
from ssd_perception.replay.annotated_images import AnnotatedImages
from ssd_perception.replay.cameras import find_images
from ssd_perception.replay.scan import Stages, decode_record, scan
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.work_folder import RunIdentity, WorkFolder


def spent(work) -> tuple[float, float]:
    """Return the wall and processor seconds, all threads', that ``work`` takes."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Print one line per round and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('bag', type=Path, help='rosbag2 folder, .mcap or .db3 file')
    add_detector_arguments(parser)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--no-pictures', action='store_true', help='as of replay')
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))

    def load(threads: int) -> Detector:
        detector = Detector.from_weights(args.weights, args.runtime, args.device, args.precision,
                                         threads=threads)
        detector.warm_up()
        return detector

    bare = load(cores)
    several = [load(1) for _ in range(cores)] if bare.device == 'cpu' else [bare]
    thresholds = ScoreThresholds(bare.settings, bare.class_names)
    print(bare.describe() + f'; replay has {len(several)} side by side')
    with RecoveringBag(args.bag) as bag, tempfile.TemporaryDirectory() as folder:
        recording = find_images(bag)
        images = [image for index, record in enumerate(recording.records())
                  if (image := decode_record(index, record)[1]) is not None]

        def detect() -> None:
            for image in images:
                bare([image])

        def replay() -> None:
            with WorkFolder(Path(folder, 'out'), RunIdentity((), '', {}), fresh=True) as work:
                drawn = AnnotatedImages(recording.cameras, thresholds, work)
                scan(recording, several, bare.settings, Stages(),
                     None if args.no_pictures else drawn, work)

        replay()  # the first one loads the video's encoder
        ratios, extra = [], []
        for turn in range(args.rounds):
            works = {'bare': detect, 'replay': replay}
            order = sorted(works, reverse=turn % 2 == 1)
            times = {name: spent(works[name]) for name in order}
            (wall, processor), (replay_wall, replay_processor) = times['bare'], times['replay']
            ratios.append(wall / replay_wall)
            extra.append((replay_processor - processor) / len(images) * 1e3)
            print(f'bare {len(images) / wall:6.1f} frames/s, '
                  f'replay {len(images) / replay_wall:6.1f} frames/s, ratio {ratios[-1]:.2f}; '
                  f'processor {processor / len(images) * 1e3:.1f} and '
                  f'{replay_processor / len(images) * 1e3:.1f} ms a frame; '
                  f'load {os.getloadavg()[0]:.1f}')
    print(f'median ratio {statistics.median(ratios):.3f} (from {min(ratios):.2f} to '
          f'{max(ratios):.2f}), {statistics.median(extra):.1f} ms of processor more a frame')


if __name__ == '__main__':
    main()
