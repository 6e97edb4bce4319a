"""Simulated drives for tests: cones and cubes on a floor through a moving, turning pinhole.

The detector's faults are those measured of the shipped weights on the rendered drives: box noise
as a share of the box, weak and missed small objects, scores that stay low for a while, false
boxes.
"""

from dataclasses import dataclass

import numpy as np

from ssd_perception.core.detections import Detections

WIDTH, HEIGHT, FOCAL = 640, 480, 480.0
CAMERA_HEIGHT_M, PITCH_RAD = 0.33, 0.19
THRESHOLDS = np.array([0.5, 0.5])
# half width and height in metres of class 0, a cone, and class 1, a cube
SIZES = np.array([(0.105, 0.33), (0.13, 0.25)])


@dataclass(frozen=True)
class SimulatedFrame:
    """One image: what the detector found, and which object each box is (-1: none)."""

    stamp_ns: int
    detections: Detections
    objects: np.ndarray
    visible: frozenset


def camera_pose(x: float, y: float, yaw: float, pitch: float = PITCH_RAD,
                height: float = CAMERA_HEIGHT_M) -> np.ndarray:
    """Return the 4x4 transform from optical axes to the floor's; yaw 0 looks along +x."""
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    transform = np.eye(4)
    transform[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    transform[:3, 3] = x, y, height
    return transform


def boxes_of(objects: np.ndarray, labels: np.ndarray, pose: np.ndarray) -> tuple:
    """Return the clipped boxes (n, 4), their depths (n,) and which are seen, bool (n,)."""
    half, tall = SIZES[labels].T
    at = (np.concatenate([objects, np.zeros((len(objects), 1))], 1) - pose[:3, 3]) @ pose[:3, :3]
    top = at + tall[:, None] * pose[2, :3]
    depth = at[:, 2]
    z = np.maximum(depth, 0.05)
    u, base, head = at[:, 0] / z, (at[:, 1]) / z, top[:, 1] / np.maximum(top[:, 2], 0.05)
    edges = np.stack([u - half / z, head, u + half / z, base], axis=1) * FOCAL
    edges += np.array([WIDTH, HEIGHT] * 2) / 2
    clipped = np.clip(edges, 0, [WIDTH, HEIGHT] * 2)
    share = np.prod(clipped[:, 2:] - clipped[:, :2], 1) / np.prod(edges[:, 2:] - edges[:, :2], 1)
    return clipped, depth, (depth > 0.3) & (share > 0.4) & (depth < 4.5)


def drive(seed: int, frames: int = 100, rate_hz: float = 10.0, faults: float = 1.0) -> list:
    """Return the frames of a drive past 14 objects with three quick glances aside."""
    rng = np.random.default_rng(seed)
    count = 14
    objects = np.stack([np.linspace(1.2, 12.0, count), rng.uniform(-1.3, 1.3, count)], 1)
    labels = rng.integers(0, 2, count)
    glances = [(rng.uniform(1, 9), rng.uniform(0.3, 0.5), rng.normal(0, 0.5)) for _ in range(3)]
    weak = np.zeros(count)
    result = []
    for number in range(frames):
        seconds = number / rate_hz
        yaw = 0.1 * np.sin(seconds) + sum(a * np.exp(-((seconds - t) / w) ** 2)
                                          for t, w, a in glances)
        pose = camera_pose(1.0 * seconds, 0.3 * np.sin(0.5 * seconds), yaw,
                           PITCH_RAD + 0.006 * rng.standard_normal() * faults)
        boxes, depth, seen = boxes_of(objects, labels, pose)
        weak = 0.85 * weak + 0.5 * rng.standard_normal(count)
        logit = np.clip(3.2 - 0.6 * depth, -1, 3) + faults * 0.8 * weak
        result.append(_detect(rng, number, rate_hz, boxes, labels, logit, seen, depth, faults))
    return result


def _detect(rng, number, rate_hz, boxes, labels, logit, seen, depth, faults) -> SimulatedFrame:
    shown = []
    for i in np.flatnonzero(seen):
        nearer = [j for j in np.flatnonzero(seen) if depth[j] < depth[i] - 0.1]
        if all(_covered(boxes[i], boxes[j]) < 0.6 for j in nearer):
            shown.append(i)
    objects = np.array(shown, int)
    size = np.sqrt(np.prod(boxes[objects, 2:] - boxes[objects, :2], 1))[:, None]
    found = boxes[objects] + faults * 0.04 * size * rng.standard_normal((len(objects), 4))
    scores = 1 / (1 + np.exp(-logit[objects]))
    kind = labels[objects]
    false = rng.poisson(0.3 * faults)
    corner = rng.uniform([0, 100], [WIDTH - 60, HEIGHT - 80], (false, 2))
    found = np.concatenate([found, np.concatenate([corner, corner + rng.uniform(20, 60, (
        false, 2))], 1)])
    scores = np.concatenate([scores, rng.uniform(0.1, 0.6, false)])
    kind = np.concatenate([kind, rng.integers(0, 2, false)])
    objects = np.concatenate([objects, np.full(false, -1)])
    keep = np.flatnonzero(scores >= 0.2)
    order = keep[np.argsort(-scores[keep], kind='stable')]
    found = np.sort(found.reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    found = np.clip(found, 0, [WIDTH, HEIGHT] * 2)
    return SimulatedFrame(
        10 ** 18 + int(number * 1e9 / rate_hz),
        Detections(found[order], scores[order], kind[order]), objects[order], frozenset(shown))


def _covered(box: np.ndarray, other: np.ndarray) -> float:
    size = np.clip(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0, None)
    return float(size.prod() / max(np.prod(box[2:] - box[:2]), 1e-9))
