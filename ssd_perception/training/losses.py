"""The loss: which anchors belong to an object, focal loss of classes, GIoU loss of boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F
from torchvision.ops import box_convert, box_iou, generalized_box_iou_loss, sigmoid_focal_loss

from ssd_perception.core.anchors import MAX_LOG_SCALE, BoxCoder
from ssd_perception.training.alignment import Pairs, align
from ssd_perception.training.recipe import LossRecipe


class Target(NamedTuple):
    """Objects of one image as the network sees it.

    Attributes:
        boxes: float32 (G, 4), edges in network-input px.
        labels: int64 (G,).
    """

    boxes: torch.Tensor
    labels: torch.Tensor


class LossParts(NamedTuple):
    """Scalars; ``total`` is what is minimised, the rest is for the log.

    Attributes:
        total, classes, boxes: ``total = classes + box_weight * boxes``.
        positives: number of anchors with an object in these images.
    """

    total: torch.Tensor
    classes: torch.Tensor
    boxes: torch.Tensor
    positives: torch.Tensor


def decode(deltas: torch.Tensor, anchors: torch.Tensor, coder: BoxCoder) -> torch.Tensor:
    """Torch twin of ``BoxCoder.decode``, for gradients: (n, 4), (n, 4) cxcywh -> (n, 4) xyxy."""
    centre = anchors[:, :2] + deltas[:, :2] * coder.centre_variance * anchors[:, 2:]
    size = anchors[:, 2:] * (deltas[:, 2:] * coder.size_variance).clamp(max=MAX_LOG_SCALE).exp()
    return torch.cat([centre - size / 2, centre + size / 2], -1)


class DetectionLoss:
    """Sigmoid focal loss (Lin et al. 2017) and GIoU (Rezatofighi et al. 2019) on decoded boxes.

    With ``assignment: aligned`` it is the quality focal loss (Li et al. 2020), which asks for the
    quality of the box where the focal loss asks for 1; see ``alignment.align``.

    Args:
        anchors: float32 (A, 4) cx, cy, w, h in network-input px: the unit of the targets too.
        coder: of the deltas.
        recipe: weights and thresholds.
        cells: float32 (A / anchors per cell,), stride of each cell, px.
    """

    def __init__(self, anchors: torch.Tensor, coder: BoxCoder, recipe: LossRecipe,
                 cells: torch.Tensor):
        self._anchors, self._cells = anchors, cells
        self._anchors_xyxy = box_convert(anchors, 'cxcywh', 'xyxy')
        self._coder, self._recipe = coder, recipe
        self._aligned = recipe.assignment == 'aligned'
        self._negative = torch.tensor(recipe.negative_weights or 1.0, device=anchors.device)

    def assign(self, targets: Sequence[Target]) -> torch.Tensor | None:
        """Return int64 (B, A), the object of each anchor, see ``match``; None for ``aligned``.

        It needs no prediction, so the positives of a whole step, over all its parts and
        processes, are known before the first forward pass.
        """
        if self._aligned:
            return None
        return torch.stack([match(self._anchors_xyxy, t.boxes, self._recipe.foreground_iou,
                                  self._recipe.background_iou) for t in targets])

    def __call__(self, logits: torch.Tensor, deltas: torch.Tensor, targets: Sequence[Target],
                 matches: torch.Tensor | None = None, positives: torch.Tensor | None = None,
                 labelled: torch.Tensor | None = None,
                 total: Callable[[torch.Tensor], torch.Tensor] = lambda own: own) -> LossParts:
        """Compare (B, A, C) logits and (B, A, 4) deltas with B targets, in fp32.

        Args:
            matches: what ``assign`` returned for these targets; None assigns here.
            positives: what sums are divided by; None takes the pairs of these images, each of
                which counts by its quality.
            labelled: bool (B, C), classes whose objects are labelled in each image: for the
                others its anchors are neither objects nor background. None means all.
            total: adds up a number over all processes.
        """
        logits, deltas = logits.float(), deltas.float()
        matches = self.assign(targets) if matches is None else matches
        boxes, labels = (torch.cat(parts) for parts in zip(*targets))
        pairs = self._pairs(logits, deltas, targets, boxes, labels, matches)
        wanted = torch.zeros_like(logits)
        wanted[pairs.image, pairs.anchor, labels[pairs.object]] = pairs.quality
        counted = None if matches is None else (matches != IGNORED)[..., None]  # (B, A, 1)
        if labelled is not None:
            counted = labelled[:, None] if counted is None else counted & labelled[:, None]
        focal = self._class_loss(logits, wanted)
        # A batch of empty scenes has no positive; its background loss still counts.
        share = (total(pairs.quality.sum()) if positives is None else positives).clamp(min=1)
        classes = (focal if counted is None else focal * counted).sum() / share
        found = self._decoded(deltas, pairs.image, pairs.anchor)
        box = (pairs.quality * generalized_box_iou_loss(found, boxes[pairs.object])).sum() / share
        return LossParts(classes + self._recipe.box_weight * box, classes.detach(), box.detach(),
                         torch.tensor(len(pairs.image)))

    def _pairs(self, logits: torch.Tensor, deltas: torch.Tensor, targets: Sequence[Target],
               boxes: torch.Tensor, labels: torch.Tensor, matches: torch.Tensor | None) -> Pairs:
        """Return which anchors are trained on which of the batch's (G,) objects."""
        counts = torch.tensor([len(t.labels) for t in targets], device=boxes.device)
        if matches is not None:
            # One list for the whole batch: a question per image would make a GPU wait each time.
            image, anchor = (matches >= 0).nonzero(as_tuple=True)  # (P,) each
            objects = matches[image, anchor] + (counts.cumsum(0) - counts)[image]
            return Pairs(image, anchor, objects, torch.ones_like(image, dtype=boxes.dtype))
        image_of = torch.arange(len(targets), device=boxes.device).repeat_interleave(counts)

        def predict(image: torch.Tensor, anchor: torch.Tensor,
                    label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return logits[image, anchor, label].sigmoid(), self._decoded(deltas, image, anchor)

        return align(self._anchors, self._cells, boxes, labels, image_of, predict)

    def _class_loss(self, logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        if self._aligned:
            loss = (logits.sigmoid() - wanted).abs().clamp(min=1e-12) ** self._recipe.gamma * \
                F.binary_cross_entropy_with_logits(logits, wanted, reduction='none')
        else:
            loss = sigmoid_focal_loss(logits, wanted, self._recipe.alpha, self._recipe.gamma)
        if not self._recipe.negative_weights:
            return loss
        return torch.where(wanted > 0, loss, loss * self._negative)

    def _decoded(self, deltas: torch.Tensor, image: torch.Tensor,
                 anchor: torch.Tensor) -> torch.Tensor:
        """Return the (P, 4) edges that the (B, A, 4) deltas give P anchors."""
        return decode(deltas[image, anchor], self._anchors[anchor], self._coder)


def count_positives(matches: torch.Tensor) -> torch.Tensor:
    """Return the number of anchors with an object, of what ``assign`` returned."""
    return (matches >= 0).sum()


BACKGROUND, IGNORED = -1, -2


def match(anchors_xyxy: torch.Tensor, boxes: torch.Tensor, foreground_iou: float,
          background_iou: float) -> torch.Tensor:
    """Return int64 (A,): index of the anchor's object, or BACKGROUND, or IGNORED.

    Args:
        anchors_xyxy: (A, 4) edges in network-input px.
        boxes: (G, 4) edges in the same unit.
        foreground_iou, background_iou: an anchor with at least the first IoU belongs to an object,
            one below the second is background, and one between is ignored (RetinaNet, section
            4.1).

    Each object's best anchor is given to it even below ``foreground_iou`` (SSD, section 2.2);
    where two objects want the same anchor, the one that overlaps it more gets it.
    """
    if len(boxes) == 0:
        return torch.full((len(anchors_xyxy),), BACKGROUND, device=anchors_xyxy.device)
    overlaps = box_iou(boxes, anchors_xyxy)  # (G, A)
    best, index = overlaps.max(0)  # (A,)
    matches = torch.where(best >= foreground_iou, index,
                          torch.where(best >= background_iou, IGNORED, BACKGROUND))
    best_anchor_iou, best_anchor = overlaps.max(1)  # (G,)
    # Of the objects that claim an anchor the strongest gets it. No step here reads a number back,
    # which a GPU would have to wait for.
    order = torch.argsort(best_anchor_iou)
    ranks = torch.arange(len(boxes), device=boxes.device)
    claims = torch.full_like(matches, -1).scatter_reduce(0, best_anchor[order], ranks, 'amax')
    return torch.where(claims >= 0, order[claims.clamp(min=0)], matches)
