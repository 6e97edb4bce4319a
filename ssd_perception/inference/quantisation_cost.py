"""What the quantisation of each part of a network changes in its outputs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ssd_perception.imaging.placing import empty_batch, place
from ssd_perception.inference.onnx_file import read_export
from ssd_perception.inference.quantise import parts_of, quantise
from ssd_perception.inference.runtimes import open_runtime

COMPARED = 50  # anchors of an image, those with the highest scores: the others predict nothing


def quantisation_costs(exported: Path, images: Sequence[np.ndarray],
                       progress: Callable[[list[str]], Iterable[str]] = list) -> dict[str, float]:
    """Return how much each part changes the outputs when it alone is quantised, most first.

    Errors of parts add up almost independently, so those that change most alone are those that
    gain most in float.

    Args:
        exported: fp32, of ``export_onnx``.
        images: uint8 (H, W, 3) RGB each; calibrated on and compared on.
        progress: wraps the list of parts, as tqdm does.

    Returns:
        part, see ``quantise.part_of`` -> mean over logits and box deltas of the change's size
        divided by the output's size, over the ``COMPARED`` best anchors of each image. A part
        that the quantiser leaves in float anyway is not among them.
    """
    placed = _place(exported, images)
    wanted = _outputs(exported, placed)
    costs = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in progress(parts_of(exported)):
            out = quantise(exported, images, {}, Path(folder, 'part.int8.onnx'), only=part)
            costs[part] = float(np.mean([
                _change(a, b) for a, b in zip(wanted, _outputs(out, placed))]))
    return dict(sorted(((part, cost) for part, cost in costs.items() if cost > 0),
                       key=lambda item: -item[1]))


def _place(exported: Path, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    metadata = read_export(exported).metadata
    batches = []
    for image in images:
        batches.append(empty_batch(1, metadata))
        place(image, batches[-1][0], metadata.preprocessing)
    return batches


def _outputs(path: Path, placed: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return logits (A, columns) and deltas (A, 4) for each image."""
    runtime = open_runtime(path, 'onnxruntime', 'cpu', 'auto', None)
    return [tuple(output[0].copy() for output in runtime(batch))
            for batch in placed]


def _change(wanted: tuple[np.ndarray, np.ndarray], found: tuple[np.ndarray, np.ndarray]) -> float:
    """Return the relative change of the outputs for the anchors with the highest logits."""
    best = np.argsort(-wanted[0].max(axis=1))[:COMPARED]
    return float(np.mean([
        np.linalg.norm(b[best] - a[best]) / max(float(np.linalg.norm(a[best])), 1e-9)
        for a, b in zip(wanted, found)]))
