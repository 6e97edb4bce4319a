"""Assign ground truth to anchors by IoU, with every object's best anchor forced."""

from __future__ import annotations

import torch
from torchvision.ops import box_iou

BACKGROUND, IGNORED = -1, -2


def match(anchors_xyxy: torch.Tensor, boxes: torch.Tensor, foreground_iou: float,
          background_iou: float) -> torch.Tensor:
    """Return int64 (A,): index of the anchor's object, or BACKGROUND, or IGNORED.

    Args:
        anchors_xyxy: (A, 4) edges in network-input px.
        boxes: (G, 4) edges in the same unit.
        foreground_iou, background_iou: at least the first is an object, below the second is
            background, between counts neither way (RetinaNet, section 4.1).

    Each object's best anchor is given to it even below ``foreground_iou`` (SSD, section 2.2);
    where two objects want the same anchor, the one that overlaps it more gets it.
    """
    matches = torch.full((len(anchors_xyxy),), BACKGROUND, dtype=torch.int64,
                         device=anchors_xyxy.device)
    if len(boxes) == 0:
        return matches
    overlaps = box_iou(boxes, anchors_xyxy)  # (G, A)
    best, index = overlaps.max(0)  # (A,)
    matches[best >= background_iou] = IGNORED
    foreground = best >= foreground_iou
    matches[foreground] = index[foreground]
    best_anchor_iou, best_anchor = overlaps.max(1)  # (G,)
    for g in torch.argsort(best_anchor_iou):  # ascending: the strongest claim comes last
        matches[best_anchor[g]] = g
    return matches
