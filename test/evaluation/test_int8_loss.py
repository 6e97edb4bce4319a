"""What int8 loses: its standard error, and when it is too much."""

import numpy as np
import pytest

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.evaluation.accuracy import Measurement
from ssd_perception.evaluation.export import parts_for
from ssd_perception.evaluation.int8_loss import Loss, loss_of

BOX = np.array([[10.0, 10.0, 50.0, 50.0]])


def measured(found, count=40):
    """One object in each image; ``found`` names the images in which it is detected."""
    one = Detections(BOX, np.array([0.9]), np.array([0]))
    none = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    return Measurement([], [GroundTruth(BOX, np.array([0]))] * count,
                       [one if i in found else none for i in range(count)], {}, [])


def test_the_loss_and_its_standard_error():
    lost = loss_of(measured(range(40)), measured(range(30)), ('a',))
    assert (lost.ap50, lost.coco_ap, lost.objects) == (
        pytest.approx(0.25), pytest.approx(0.25, abs=0.01), 40)
    # Of 40 independent objects a quarter is lost: the error of a binomial share.
    assert lost.ap50_error == pytest.approx((0.25 * 0.75 / 40) ** 0.5, rel=0.5)
    same = loss_of(measured(range(30)), measured(range(30)), ('a',))
    assert (same.ap50, same.ap50_error, same.too_much) == (0, 0, False)


@pytest.mark.parametrize('count', [0, 1])
def test_a_set_of_no_or_one_image_judges_nothing(count):
    lost = loss_of(measured([0], count), measured([], count), ('a',))
    assert np.isnan(lost.ap50_error) and not lost.too_much and not lost.enough


@pytest.mark.parametrize('objects, ap50, error, too_much', [
    (300, 0.004, 0.01, False),
    (300, 0.006, 0.01, True),  # enough objects: the figure itself decides
    (16, 0.06, 0.06, False),  # one of sixteen objects
    (16, 0.3, 0.1, True),  # few objects, but more than chance explains
    (300, 0.3, float('nan'), True),  # all of them in one image
])
def test_few_objects_judge_only_what_is_beyond_chance(objects, ap50, error, too_much):
    loss = Loss(ap50, 0.0, error, error, objects)
    assert loss.too_much is too_much
    assert f'{objects} objects' in str(loss)


@pytest.mark.parametrize('wanted, parts', [
    (0.5, ('b',)), (0.7, ('b', 'c')), (1.0, ('b', 'c', 'a'))])
def test_the_fewest_parts_that_make_up_a_share(wanted, parts):
    assert parts_for({'a': 0.1, 'b': 0.6, 'c': 0.3}, wanted) == parts
