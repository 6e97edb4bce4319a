"""Task-aligned assignment: the anchors that already predict an object best are trained on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

# Of TOOD (Feng et al. 2021, section 3.2): anchors for each object, and how much more the overlap
# counts than the score.
MOST, POWER = 13, 6

Predict = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


class Pairs(NamedTuple):
    """Anchors and the objects that they are trained on.

    Attributes:
        image, anchor, object: int64 (P,); objects are counted over the whole batch.
        quality: float32 (P,) in [0, 1], the score that an anchor should have.
    """

    image: torch.Tensor
    anchor: torch.Tensor
    object: torch.Tensor
    quality: torch.Tensor


@torch.no_grad()
def align(anchors: torch.Tensor, cells: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor,
          image_of: torch.Tensor, predict: Predict) -> Pairs:
    """Give each object the anchors whose prediction fits it best: score * IoU ** ``POWER``.

    Only anchors of cells whose centre is in the object may get it; of an object smaller than a
    cell, that of the cell it is in. Where two objects want an anchor, the one that its predicted
    box overlaps more gets it. The best anchor of an object should have its IoU as score, the
    others less in proportion to how they fit: then the score ranks boxes by how good they are.

    Args:
        anchors: (A, 4) cx, cy, w, h in network-input px; those of a cell follow one another.
        cells: (K,), stride of each cell, px.
        boxes: (G, 4) edges of the whole batch's objects, px.
        labels, image_of: int64 (G,).
        predict: maps int64 (P,) images, anchors and labels to (P,) scores and (P, 4) edges.
    """
    per_cell = len(anchors) // len(cells)
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    places = anchors[::per_cell, :2]
    near = torch.ones((len(boxes), len(cells)), dtype=torch.bool, device=boxes.device)
    for axis in (0, 1):  # by itself each needs half of the memory
        reach = torch.maximum(sides[:, axis, None], cells) / 2
        near &= (places[:, axis] - centres[:, axis, None]).abs() <= reach
    objects, cell = near.nonzero(as_tuple=True)
    objects = objects.repeat_interleave(per_cell)
    anchor = (cell[:, None] * per_cell + torch.arange(per_cell, device=cell.device)).reshape(-1)
    scores, predicted = predict(image_of[objects], anchor, labels[objects])
    overlaps = paired_iou(predicted, boxes[objects])
    fit = scores * overlaps ** POWER
    kept = _best_of_each(objects, fit, len(boxes)) & (fit > 0)
    objects, anchor, overlaps, fit = (x[kept] for x in (objects, anchor, overlaps, fit))
    image = image_of[objects]
    place = image * len(anchors) + anchor
    most = overlaps.new_zeros((int(image_of.max()) + 1 if len(image_of) else 0) * len(anchors))
    most.scatter_reduce_(0, place, overlaps, 'amax')
    won = overlaps == most[place]
    image, objects, anchor, overlaps, fit = (
        x[won] for x in (image, objects, anchor, overlaps, fit))
    best_fit, best_overlap = (
        boxes.new_zeros(len(boxes)).scatter_reduce(0, objects, x, 'amax')[objects]
        for x in (fit, overlaps))
    return Pairs(image, anchor, objects, fit / best_fit * best_overlap)


def _best_of_each(objects: torch.Tensor, fit: torch.Tensor, count: int) -> torch.Tensor:
    """Return bool (P,), the ``MOST`` best of each object; ``objects`` are ascending."""
    order = fit.argsort(descending=True, stable=True)
    order = order[objects[order].argsort(stable=True)]
    sizes = torch.bincount(objects, minlength=count)
    rank = torch.arange(len(order), device=order.device) - (sizes.cumsum(0) - sizes)[objects]
    return torch.zeros_like(fit, dtype=torch.bool).index_put((order,), rank < MOST)


def paired_iou(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the (P,) IoU of each of (P, 4) boxes with its partner, edges in one unit."""
    lower, upper = torch.maximum(first, second), torch.minimum(first, second)
    shared = (upper[:, 2:] - lower[:, :2]).clamp(min=0).prod(1)
    areas = [(box[:, 2:] - box[:, :2]).clamp(min=0).prod(1) for box in (first, second)]
    return shared / (areas[0] + areas[1] - shared).clamp(min=1e-6)
