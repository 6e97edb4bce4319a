"""Measure positions on rendered drives: errors of range, and how often 2 sigma hold the truth.

    python tools/measure_positions.py demo/recording
    python tools/measure_positions.py 9105 9106 --method height --class-heights cone=0.19..0.36

A drive of ``demo.render_drive --seed N`` must be named N; other folders are taken for the shipped
recording. Where things stand and how the camera moves comes from the drive's plan in demo/, not
from the recording. Objects count up to 5 m, in full view, and found with an IoU of 0.5.

Each drive has three mountings: the exact one at the image's stamp, that turned by random angles
of 0.2 degrees, as ``mounting_error`` claims of TF, and one fixed ``camera_mount``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tools')]
from measure_tracks import MATCH, Drive, ids_of, in_full_view  # noqa: E402

from ssd_perception.core.boxes import iou  # noqa: E402
from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.ros.scene_parameters import parse_heights  # noqa: E402
from ssd_perception.scene.camera_model import mounting  # noqa: E402
from ssd_perception.scene.positions import (  # noqa: E402
    METHODS,
    TILT,
    TILT_OF_FIXED,
    PositionSettings,
    View,
    locate,
)

# demo/ imports Blender's modules to build scenes; the plan of a drive needs none of them.
with patch.dict(sys.modules, {name: MagicMock() for name in (
        'bpy', 'mathutils', 'bpy_extras', 'bpy_extras.object_utils')}):
    from demo import course, other_course

FAR_M = 5.0
_SIGMAS = 2.0
# A cone that lies has its place at its foot; its middle is half its length from there, metres.
_LYING_M = 0.165
_OPTICAL = np.diag([1.0, -1.0, -1.0])  # optical axes in those of Blender's cameras


@dataclass(frozen=True)
class Errors:
    """Of n positions, metres: ranges, and errors along and across the line of sight."""

    ranges: np.ndarray
    along: np.ndarray
    across: np.ndarray
    along_deviations: np.ndarray
    across_deviations: np.ndarray

    def cells(self) -> list[str]:
        """Return the columns of the table."""
        share = np.abs(self.along) / self.ranges
        held = [np.mean(np.abs(errors) < _SIGMAS * deviations) for errors, deviations in (
            (self.along, self.along_deviations), (self.across, self.across_deviations))]
        return [str(len(share)), f'{100 * np.median(share):.1f} %',
                f'{100 * np.quantile(share, 0.95):.1f} %', *(f'{100 * one:.0f} %' for one in held)]


def plan_of(path: Path) -> course.Plan:
    """Return the plan of the drive in that folder."""
    return other_course.random_plan(int(path.name)) if path.name.isdigit() else course.Plan()


def camera_in_base(seconds: float, plan: course.Plan) -> tuple[np.ndarray, np.ndarray]:
    """Return the mounting and the robot's pose, both (4, 4); the base is below the camera."""
    place, yaw, pitch, roll = course.pose_at(seconds, plan)
    base = _turned(yaw + np.pi / 2, 2)
    base[:2, 3] = place[:2]
    camera = _turned(yaw, 2) @ _turned(np.pi / 2 - pitch, 0) @ _turned(roll, 2)
    camera[:3, :3] = camera[:3, :3] @ _OPTICAL
    camera[:3, 3] = place
    return np.linalg.inv(base) @ camera, base


def _turned(angle: float, axis: int) -> np.ndarray:
    matrix, (one, other) = np.eye(4), [(axis + 1) % 3, (axis + 2) % 3]
    matrix[[one, other], [one, other]] = np.cos(angle)
    matrix[one, other], matrix[other, one] = -np.sin(angle), np.sin(angle)
    return matrix


def mountings(seconds: float, plan: course.Plan, rng: np.random.Generator
              ) -> Iterator[tuple[str, np.ndarray, float]]:
    """Yield name, mounting (4, 4) and claimed tilt of each way to know where the camera is."""
    exact = camera_in_base(seconds, plan)[0]
    yield 'exact at the stamp', exact, TILT
    off = exact.copy()
    off[:3, :3] = _small_turn(TILT * rng.standard_normal(3)) @ exact[:3, :3]
    yield 'off by 0.2 degrees', off, TILT
    yield 'fixed `camera_mount`', mounting(0, 0, course.CAMERA_HEIGHT_M, 0,
                                           course.CAMERA_PITCH_RAD, 0), TILT_OF_FIXED


def _small_turn(angles: np.ndarray) -> np.ndarray:
    matrix = np.eye(4)
    for axis, angle in enumerate(angles):
        matrix = matrix @ _turned(float(angle), axis)
    return matrix[:3, :3]


def measure(drive: Drive, plan: course.Plan, threshold: float, settings: PositionSettings,
            names: tuple[str, ...]) -> dict[str, Errors]:
    """Return the errors for each mounting."""
    rng, rows = np.random.default_rng(0), {}
    for truth, found, full, stamp in zip(drive.truths, drive.found, in_full_view(drive),
                                         drive.stamps):
        seconds = (stamp - drive.stamps[0]) / 1e9
        kept = found[found.scores >= threshold]
        things = [plan.targets[int(number) - 1] for number in ids_of(truth)]
        # a cone that lies looks narrower from its end than from its side
        clear = full | np.array([thing[0] == 'lying' for thing in things], bool)
        places = _in_base(things, camera_in_base(seconds, plan)[1])
        for name, mount, tilt in mountings(seconds, plan, rng):
            rows.setdefault(name, []).extend(_errors(
                truth, clear, places, kept, View(drive.camera, mount, tilt=tilt), settings, names))
    return {name: Errors(*np.array(values).reshape(-1, 5).T) for name, values in rows.items()}


def _in_base(things: Sequence[tuple[Any, ...]], base: np.ndarray) -> np.ndarray:
    """Return the middles of the plan's things on the floor of the base's frame: (n, 2)."""
    places = [(x + _LYING_M * np.cos(yaw), y + _LYING_M * np.sin(yaw), 0.0, 1.0)
              if kind == 'lying' else (x, y, 0.0, 1.0) for kind, x, y, yaw, _ in things]
    return (np.array(places).reshape(-1, 4) @ np.linalg.inv(base).T)[:, :2]


def _errors(truth: Detections, clear: np.ndarray, places: np.ndarray, found: Detections,
            view: View, settings: PositionSettings, names: tuple[str, ...]) -> list[list[float]]:
    overlap = iou(truth.xyxy.astype(float), found.xyxy.astype(float))
    overlap[truth.labels[:, None] != found.labels] = 0
    rows = []
    for j, position in enumerate(locate(found, view, settings, names)):
        i = int(overlap[:, j].argmax()) if len(truth) else 0
        if position.xyz is None or not len(truth) or overlap[i, j] < MATCH or not clear[i]:
            continue
        away = float(np.hypot(*places[i]))
        if away > FAR_M:
            continue
        along = places[i] / away
        across = np.array([-along[1], along[0]])
        error, covariance = position.xyz[:2] - places[i], position.covariance[:2, :2]
        rows.append([away, error @ along, error @ across, np.sqrt(along @ covariance @ along),
                     np.sqrt(across @ covariance @ across)])
    return rows


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('drives', type=Path, nargs='+', help='recordings')
    parser.add_argument('--weights', default='', help='path or name (default: the shipped ones)')
    parser.add_argument('--score-threshold', type=float, default=0.45, help='(default: 0.45)')
    parser.add_argument('--method', choices=METHODS[1:], default='ground')
    parser.add_argument('--class-heights', nargs='*', default=[], help='as the parameter')
    args = parser.parse_args()
    detector = Detector.from_weights(args.weights)
    settings = PositionSettings((args.method,), parse_heights(args.class_heights))
    columns = ('drive', 'mounting', 'boxes', 'median', '95 %', 'within 2 sigma along', 'across')
    print(f'| {" | ".join(columns)} |\n' + '| --- ' * len(columns) + '|')
    for path in args.drives:
        measured = measure(Drive(path, detector), plan_of(path), args.score_threshold, settings,
                           detector.class_names)
        for name, errors in measured.items():
            print(f'| {path.name} | {name} | {" | ".join(errors.cells())} |', flush=True)


if __name__ == '__main__':
    main()
