"""Matching and losses: hand-computed cases, torch twins, and the unit that must be one."""

import math

import numpy as np
import pytest
import torch
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from ssd_perception.core.anchors import BoxCoder
from ssd_perception.training.losses import (
    BACKGROUND,
    IGNORED,
    DetectionLoss,
    Target,
    decode,
    match,
)
from ssd_perception.training.recipe import LossRecipe

CELLS = torch.full((4,), 8.0)  # one anchor per cell
ANCHORS_XYXY = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [50, 50, 60, 60],
                             [0, 0, 10, 4.5]])
ANCHORS = torch.tensor([[5.0, 5, 10, 10], [5, 10, 10, 20], [55, 55, 10, 10], [5, 2.25, 10, 4.5]])
NOTHING = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize('boxes, expected', [
    ([], [BACKGROUND] * 4),
    # IoU 1, 0.5, 0, 0.45: object, object, background, between.
    ([[0, 0, 10, 10]], [0, 0, BACKGROUND, IGNORED]),
    # Nothing reaches 0.5, so the best anchor is forced.
    ([[50, 50, 52, 52]], [BACKGROUND, BACKGROUND, 0, BACKGROUND]),
    # Two objects, each with its own best anchor.
    ([[0, 0, 10, 20], [50, 50, 60, 60]], [0, 0, 1, BACKGROUND]),
])
def test_matching_by_hand(boxes, expected):
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    assert match(ANCHORS_XYXY, boxes, 0.5, 0.4).tolist() == expected


def test_two_objects_that_want_one_anchor():
    boxes = torch.tensor([[50.0, 50, 60, 59], [50, 50, 60, 60]])
    assert match(ANCHORS_XYXY, boxes, 0.5, 0.4)[2] == 1


def test_decoding_equals_the_numpy_twin():
    rng = np.random.default_rng(0)
    deltas, anchors = rng.normal(0, 3, (200, 4)), rng.uniform(5, 300, (200, 4))
    deltas[0] = 1e6
    expected = BoxCoder().decode(deltas, anchors)
    got = decode(torch.from_numpy(deltas), torch.from_numpy(anchors), BoxCoder())
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-9)


def test_loss_by_hand():
    """One anchor, one object exactly on it: GIoU loss 0, focal loss as the formula says."""
    loss = DetectionLoss(ANCHORS[:1], BoxCoder(),
                         LossRecipe(alpha=0.25, gamma=2.0, box_weight=3.0), CELLS[:1])
    parts = loss(torch.tensor([[[0.0, 0.0]]]), torch.zeros(1, 1, 4),
                 [Target(ANCHORS_XYXY[:1], torch.tensor([1]))])
    focal = 0.25 * 0.25 * math.log(2) + 0.75 * 0.25 * math.log(2)
    assert parts.classes.item() == pytest.approx(focal)
    assert parts.boxes.item() == pytest.approx(0, abs=1e-6)
    assert parts.positives.item() == 1


def test_loss_is_torchvisions_over_all_anchors_per_positive():
    torch.manual_seed(0)
    logits, deltas = torch.randn(2, 4, 3), torch.randn(2, 4, 4)
    target = Target(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([2]))
    parts = DetectionLoss(ANCHORS, BoxCoder(), LossRecipe(box_weight=2.0), CELLS)(
        logits, deltas, [target, NOTHING])
    wanted = torch.zeros(2, 4, 3)
    wanted[0, :2, 2] = 1
    focal = sigmoid_focal_loss(logits, wanted, 0.25, 2.0)
    focal[0, 3] = 0  # between the thresholds: counts neither way
    giou = generalized_box_iou_loss(decode(deltas[0, :2], ANCHORS[:2], BoxCoder()),
                                    target.boxes.expand(2, 4))
    assert parts.total.item() == pytest.approx((focal.sum() / 2 + 2 * giou.sum() / 2).item())


@pytest.mark.parametrize('assignment', ['iou', 'aligned'])
def test_empty_scenes_still_teach_background(assignment):
    logits = torch.zeros(1, 4, 2, requires_grad=True)
    loss = DetectionLoss(ANCHORS, BoxCoder(), LossRecipe(assignment=assignment), CELLS)
    parts = loss(logits, torch.zeros(1, 4, 4), [NOTHING])
    parts.total.backward()
    assert parts.positives == 0 and (logits.grad > 0).all()


@pytest.mark.parametrize('assignment', ['iou', 'aligned'])
def test_a_negative_weight_counts_where_a_class_is_not(assignment):
    torch.manual_seed(0)
    target, gradients = Target(torch.tensor([[0.0, 0, 10, 10]]), torch.tensor([0])), []
    for weights in ((), (1.0, 3.0)):
        logits = torch.zeros(1, 4, 2, requires_grad=True)
        recipe = LossRecipe(assignment=assignment, negative_weights=weights)
        DetectionLoss(ANCHORS, BoxCoder(), recipe, CELLS)(
            logits, torch.zeros(1, 4, 4), [target]).total.backward()
        gradients.append(logits.grad)
    plain, weighted = gradients
    assert (plain[..., 0] < 0).any() and torch.equal(weighted[..., 0], plain[..., 0])
    assert torch.allclose(weighted[..., 1], 3 * plain[..., 1]) and plain[..., 1].any()


def test_normalised_boxes_against_pixel_anchors_find_no_object():
    """The ancestor's mistake must be loud: with the wrong unit nothing overlaps an anchor."""
    boxes = torch.tensor([[0.0, 0, 10, 10]])
    right = match(ANCHORS_XYXY, boxes, 0.5, 0.4)
    wrong = match(ANCHORS_XYXY, boxes / 320, 0.5, 0.4)
    assert (right >= 0).sum() == 2 and (wrong >= 0).sum() == 1  # only the forced one is left
    loss = DetectionLoss(ANCHORS, BoxCoder(), LossRecipe(), CELLS)
    parts = loss(torch.zeros(1, 4, 1), torch.zeros(1, 4, 4),
                 [Target(boxes / 320, torch.tensor([0]))])
    assert parts.boxes > 0.9
