"""`make drive`: the real node and the follower drive a simulated rover; video, page, exit code."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssd_perception.core.errors import SettingError, UserError
from ssd_perception.core.format import to_json
from ssd_perception.core.result_folder import check_replaceable, result_folder
from ssd_perception.core.text import one_line

if TYPE_CHECKING:
    from sim.bridge import Bridge
    from sim.course import Course
    from sim.episode import Drive, Settings
    from sim.figures import DriveSummary
    from ssd_perception.live.processes import Child

ROOT = Path(__file__).parents[1]
_READY_WITHIN_S = 120.0
_BETWEEN_COURSES_S = 60.0  # longer than node and follower remember anything


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    args = _parser().parse_args(arguments)
    try:
        return run(args)
    except (UserError, OSError) as error:
        print(f'drive: {error}', file=sys.stderr)
    except KeyboardInterrupt:
        print('drive: interrupted', file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m sim.drive', description=__doc__)
    parser.add_argument('--courses', type=int, default=1, metavar='N',
                        help='number of courses; each has the next seed (default: 1)')
    parser.add_argument('--seed', type=int, default=3,
                        help='seed of the first course (default: 3)')
    parser.add_argument('--latency-ms', type=float, default=50.0, help='simulated time from the '
                        "exposure to the node's answer (default: 50)")
    parser.add_argument('--loss', type=float, default=0.0, metavar='SHARE',
                        help='share of the images that never arrive (default: 0)')
    parser.add_argument('--weights', default='', help='path or name (default: rover)')
    parser.add_argument('--out', type=Path, default=Path('drive_output'), metavar='DIR',
                        help='folder for the results (default: drive_output)')
    return parser


def run(args: argparse.Namespace) -> int:
    """Drive all courses and write the results; 1 when a course failed."""
    if args.courses < 1 or args.latency_ms < 0 or not 0 <= args.loss < 1:
        raise SettingError('--courses must be at least 1, --latency-ms at least 0 and --loss '
                           'within 0 and 1.')
    try:
        import sim.rover  # noqa: F401
    except ImportError as error:
        raise UserError(f'The simulator cannot run here: {one_line(error)}. It needs MuJoCo (pip '
                        'install ".[drive]", or make env-drive) and EGL (apt install '
                        'libegl1 libgl1-mesa-dri).') from error
    check_replaceable(args.out.absolute())
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # children are ended all the same
    from sim.episode import Settings
    settings = Settings(args.latency_ms / 1000, args.loss)
    started = time.monotonic()
    drives = drive_courses(range(args.seed, args.seed + args.courses), settings, args.weights,
                           Progress(args.courses))
    from sim.figures import figures
    from sim.page import write_page
    from sim.pictures import write_drive_video
    summary = figures(drives, settings, time.monotonic() - started)
    with result_folder(args.out) as folder:
        write_drive_video(folder / 'video.webm', drives)
        write_page(folder, drives, summary)
        (folder / 'summary.json').write_text(json.dumps(to_json(summary), indent=2) + '\n')
    print(_closing(summary, args.out))
    for drive in drives:
        if drive.failure:
            print(f'drive: course {drive.course.seed} ({drive.course.kind}): {drive.failure}',
                  file=sys.stderr)
    return 1 if any(drive.failure for drive in drives) else 0


def drive_courses(seeds: Sequence[int], settings: Settings, weights: str,
                  progress: Callable[[Drive], None]) -> list[Drive]:
    """Start node and follower, and drive the courses of ``seeds`` one after the other.

    Raises:
        UserError: when one of the processes ends or does not answer.
    """
    environment = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                   'ROS_DOMAIN_ID': os.environ.get('ROS_DOMAIN_ID')
                   or str(random.randint(1, 101))}
    os.environ.update(environment)
    import rclpy

    from sim.bridge import Bridge, NoAnswer
    from sim.course import make_course
    from sim.episode import run_course
    from ssd_perception.live.processes import Processes

    rclpy.init(args=[])
    try:
        with Processes(environment) as processes:
            children = [processes.start(name, command, quiet=True)
                        for name, command in _commands(weights).items()]
            bridge = Bridge()
            drives: list[Drive] = []
            try:
                now_s = _wait_until_ready(bridge, children)
                for seed in seeds:
                    drives.append(run_course(bridge, make_course(seed), round(now_s * 1e9),
                                             settings, progress))
                    now_s += drives[-1].seconds + _BETWEEN_COURSES_S
            except NoAnswer as error:
                words = '\n'.join(filter(None, (child.last_words() for child in children)))
                raise UserError(f'{error}\n{words}'.strip()) from error
            finally:
                bridge.close()
            return drives
    finally:
        rclpy.try_shutdown()


def _commands(weights: str) -> dict[str, list[str]]:
    from sim import model
    from sim.bridge import CAMERA_INFO, IMAGE

    mount = [f'height={model.CAMERA_HEIGHT}', f'x={model.CAMERA_X}', f'pitch={model.CAMERA_PITCH}']
    node = {'use_sim_time': 'true', 'weights': weights or 'rover', 'tracking': 'true',
            'track_confirmations': '2', 'positions': 'ground', 'camera_mount': mount,
            'class_heights': ['cone=0.25..0.40', 'cube=0.20..0.30'], 'target_class': 'cone'}
    return {
        'detector node': [
            sys.executable, '-m', 'ssd_perception.ros.detector_node', '--ros-args',
            '-r', f'image:={IMAGE}', *_parameters(node)],
        'follower': [
            sys.executable, str(ROOT / 'examples' / 'follow_cone.py'), '--ros-args',
            '-r', f'camera_info:={CAMERA_INFO}',
            *_parameters({'use_sim_time': 'true', 'front': str(model.FRONT)})]}


def _parameters(values: dict[str, str | list[str]]) -> list[str]:
    return [part for name, value in values.items() for part in ('-p', f'{name}:={value}')]


def _wait_until_ready(bridge: Bridge, children: Sequence[Child]) -> float:
    """Show grey images until node and follower answer; return the simulated time, seconds."""
    import numpy as np

    from sim import model
    from ssd_perception.imaging.compressed import encode_jpeg
    from ssd_perception.live.processes import ProcessFailed

    def all_there() -> bool:
        for child in children:
            if child.process.poll() is not None:
                raise ProcessFailed(f'The {child.name} ended: {child.last_words()}')
        return (bridge.count_publishers('/cmd_vel') > 0 and bridge.count_publishers('/detections')
                > 0 and bridge.count_subscribers('/camera/image_raw/compressed') > 0
                and bridge.count_subscribers('/detections_3d') > 0)

    if not bridge.until(all_there, _READY_WITHIN_S):
        raise UserError(f'Node and follower were not ready within {_READY_WITHIN_S:.0f} s.')
    grey = np.full((model.HEIGHT, model.WIDTH, 3), 127, np.uint8)
    now_s = 1.0
    for _ in range(5):
        now_s += 0.1
        bridge.tick(round(now_s * 1e9))
        bridge.show(round(now_s * 1e9), encode_jpeg(grey, 80).tobytes())
    return now_s + _BETWEEN_COURSES_S


class Progress:
    """Shows how a drive goes: one line that stays in its place, or a line for each course.

    Args:
        courses: how many there are.
    """

    def __init__(self, courses: int):
        self._courses, self._seen = courses, 0
        self._terminal = sys.stderr.isatty()
        self._course: Course | None = None
        self._said_s = 0.0

    def __call__(self, drive: Drive) -> None:
        """Show where a drive is."""
        if drive.course is not self._course:
            self._course, self._seen, self._said_s = drive.course, self._seen + 1, 0.0
        now = time.monotonic()
        if now - self._said_s < (0.2 if self._terminal else 10.0):
            return
        self._said_s = now
        answer = drive.moments[-1].detections if drive.moments else None
        boxes = len(answer.detections) if answer else 0
        line = (f'course {self._seen} of {self._courses} (seed {drive.course.seed}, '
                f'{drive.course.kind}): {drive.seconds:.1f} s driven, {len(drive.moments)} images,'
                f' {boxes} objects')
        print(f'\r\x1b[2K{line}' if self._terminal else line, file=sys.stderr,
              end='' if self._terminal else '\n', flush=True)


def _closing(summary: DriveSummary, out: Path) -> str:
    places, tracks = summary.positions, summary.tracks

    def percent(value: float | None) -> str:
        return '-' if value is None else f'{100 * value:.1f} %'

    rows = [('courses', f'{summary.succeeded} of {summary.courses} ended '
             f'{summary.wanted}'),
            *(('', f'{count}: {kind}') for kind, count in summary.by_kind.items()),
            ('range error', f'median {percent(places.range_error_median)}, 95 % below '
             f'{percent(places.range_error_p95)}, of {places.count} positions'),
            ('within 2 sigma', percent(places.within_2_sigma)),
            ('IDF1', str(tracks.idf1_of_located)), ('wall time', f'{summary.wall_s:.0f} s'),
            ('written', f'{out}/report.html, video.webm, summary.json')]
    return '\n'.join(['', *(f'{name:<15} {value}' for name, value in rows)])


if __name__ == '__main__':
    sys.exit(main())
