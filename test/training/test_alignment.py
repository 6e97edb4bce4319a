"""Task-aligned assignment: which anchors get an object, and the score that they should have."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import box_iou, generalized_box_iou_loss

from ssd_perception.core.anchors import BoxCoder
from ssd_perception.core.metadata import Architecture
from ssd_perception.training.alignment import MOST, POWER, align, paired_iou
from ssd_perception.training.losses import DetectionLoss, Target, decode
from ssd_perception.training.recipe import LossRecipe

ARCHITECTURE = Architecture(input_hw=(64, 96), strides=(8, 16, 32))
ANCHORS = torch.from_numpy(ARCHITECTURE.make_anchors())
CELLS = torch.cat([torch.full((96 * 64 // s ** 2,), float(s)) for s in ARCHITECTURE.strides])


def aligned(boxes, deltas=None, scores=None, image_of=None):
    """Align objects of class 0 with predictions of one or more images."""
    boxes = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    deltas = torch.zeros(1, len(ANCHORS), 4) if deltas is None else deltas
    scores = torch.full((len(deltas), len(ANCHORS)), 0.01) if scores is None else scores
    return align(ANCHORS, CELLS, boxes, torch.zeros(len(boxes), dtype=torch.int64),
                 torch.zeros(len(boxes), dtype=torch.int64) if image_of is None else image_of,
                 lambda image, anchor, label: (scores[image, anchor], decode(
                     deltas[image, anchor], ANCHORS[anchor], BoxCoder())))


def test_the_best_prediction_should_score_its_overlap_and_others_less():
    box = [20.0, 20, 44, 44]  # a side of three cells of the finest level
    pairs = aligned([box])
    overlaps = box_iou(torch.tensor([box]), decode(
        torch.zeros(len(pairs.anchor), 4), ANCHORS[pairs.anchor], BoxCoder()))[0]
    assert len(pairs.anchor) == MOST and pairs.quality.max() == overlaps.max()
    expected = overlaps.max() * (overlaps / overlaps.max()) ** POWER
    np.testing.assert_allclose(pairs.quality, expected, rtol=1e-4)


def test_a_good_score_makes_an_anchor_fit_better():
    box = [20.0, 20, 44, 44]
    before = aligned([box])
    worst = before.anchor[before.quality.argmin()]
    scores = torch.full((1, len(ANCHORS)), 1e-6)
    scores[0, worst] = 1.0
    pairs = aligned([box], scores=scores)
    assert pairs.anchor[pairs.quality.argmax()] == worst


@pytest.mark.parametrize('box', [[1.0, 1, 3, 3], [0, 30, 96, 31], [94.5, 62.5, 96, 64]])
def test_an_object_without_a_cells_centre_gets_anchors(box):
    pairs = aligned([box])
    assert len(pairs.anchor) and (pairs.quality > 0).all()


def test_random_objects_get_anchors_in_them_each_its_own():
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(0, [90, 60], (30, 2)), rng.uniform(3, 60, (30, 2))
    boxes = torch.from_numpy(np.concatenate([corner, corner + side], 1)).float()
    image_of = torch.from_numpy(np.sort(rng.integers(0, 3, 30)))
    deltas = torch.from_numpy(rng.normal(0, 0.5, (3, len(ANCHORS), 4))).float()
    pairs = aligned(boxes, deltas, torch.rand(3, len(ANCHORS)), image_of)
    assert (pairs.image == image_of[pairs.object]).all()
    assert torch.bincount(pairs.object, minlength=30).max() <= MOST
    assert len(set(zip(pairs.image.tolist(), pairs.anchor.tolist()))) == len(pairs.anchor)
    centre = ANCHORS[pairs.anchor, :2]
    reach = torch.maximum(boxes[:, 2:] - boxes[:, :2], torch.tensor(32.0)) / 2
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert ((centre - middle[pairs.object]).abs() <= reach[pairs.object]).all()
    assert (pairs.quality <= 1).all() and (pairs.quality >= 0).all()


def test_the_anchor_two_objects_want_goes_to_the_one_it_overlaps_more():
    boxes = [[20.0, 20, 44, 44], [20.0, 20, 44, 46]]
    overlaps = box_iou(torch.tensor(boxes), decode(torch.zeros(len(ANCHORS), 4), ANCHORS,
                                                   BoxCoder()))
    alone = [set(aligned([box]).anchor.tolist()) for box in boxes]
    together = aligned(boxes)
    owners = dict(zip(together.anchor.tolist(), together.object.tolist()))
    wanted_twice = alone[0] & alone[1]
    assert wanted_twice and owners.keys() == alone[0] | alone[1]
    assert all(owners[anchor] == int(overlaps[:, anchor].argmax()) for anchor in wanted_twice)


def test_overlaps_are_torchvisions():
    torch.manual_seed(0)
    first, second = (torch.rand(50, 4).cumsum(1) for _ in range(2))
    np.testing.assert_allclose(paired_iou(first, second), box_iou(first, second).diag(), atol=1e-6)


def test_aligned_loss_by_hand():
    """Of every anchor the quality focal loss; of those with an object GIoU by their quality."""
    torch.manual_seed(0)
    logits, deltas = torch.randn(2, len(ANCHORS), 2) - 3, torch.randn(2, len(ANCHORS), 4) / 5
    target = Target(torch.tensor([[20.0, 20, 44, 44]]), torch.tensor([1]))
    nothing = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    parts = DetectionLoss(ANCHORS, BoxCoder(), LossRecipe(assignment='aligned', box_weight=2.0),
                          CELLS)(logits, deltas, [target, nothing])
    pairs = aligned(target.boxes, deltas, logits[..., 1].sigmoid())
    wanted = torch.zeros_like(logits)
    wanted[0, pairs.anchor, 1] = pairs.quality
    focal = (logits.sigmoid() - wanted) ** 2 * F.binary_cross_entropy_with_logits(
        logits, wanted, reduction='none')
    giou = generalized_box_iou_loss(
        decode(deltas[0, pairs.anchor], ANCHORS[pairs.anchor], BoxCoder()), target.boxes)
    expected = (focal.sum() + 2 * (giou * pairs.quality).sum()) / pairs.quality.sum()
    assert math.isclose(parts.total.item(), expected.item(), rel_tol=1e-5)
    assert parts.positives == len(pairs.anchor)
