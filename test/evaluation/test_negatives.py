"""False boxes on pictures without objects, counted by hand; and how the card tells them."""

import numpy as np
import pytest
from cases import detections_of

from ssd_perception.core.metadata import Metadata
from ssd_perception.data.sample import Sample, as_negatives
from ssd_perception.evaluation.model_card import figures
from ssd_perception.evaluation.negatives import describe_false_boxes, false_boxes

BOX = (0, 0, 10, 10)


@pytest.mark.parametrize('pictures, expected', [
    ([], (0, 0, 0, None)),
    ([[]], (1, 0, 0, None)),
    ([[(BOX, 0.25, 0)]], (1, 0, 0, 0.25)),
    ([[(BOX, 0.5, 0)], []], (2, 1, 1, 0.5)),  # the threshold itself counts, as in the node
    ([[(BOX, 0.75, 0), (BOX, 0.5, 1), (BOX, 0.25, 0)], [(BOX, 0.875, 1)]], (2, 3, 2, 0.875)),
])
def test_by_hand(pictures, expected):
    counted = false_boxes([detections_of(rows) for rows in pictures], 0.5)
    assert tuple(counted[key] for key in ('images', 'false_boxes', 'images_with_false_boxes',
                                          'highest_score')) == expected
    assert counted['score_threshold'] == 0.5


def test_objects_of_other_classes_are_forgotten(tmp_path):
    sample, = as_negatives([Sample(tmp_path / 'a.jpg', np.ones((2, 4), np.float32),
                                   ('dog', 'cat'), np.zeros(2, bool))])
    assert sample.path == tmp_path / 'a.jpg' and sample.names == ()
    assert sample.xyxy.shape == (0, 4) and sample.difficult.shape == (0,)


@pytest.mark.parametrize('boxes, where, phrase', [
    (0, 0, 'no false boxes on 9 pictures without these classes'),
    (1, 1, '1 false box on 9 pictures without these classes, in 1 of them'),
    (5, 2, '5 false boxes on 9 pictures without these classes, in 2 of them')])
def test_it_is_told_in_words_and_in_the_card(boxes, where, phrase):
    counted = {'images': 9, 'score_threshold': 0.5, 'false_boxes': boxes,
               'images_with_false_boxes': where, 'highest_score': None}
    assert describe_false_boxes(counted) == phrase
    row = {'images': 1, 'voc10_ap50': 1.0, 'voc07_ap50': 1.0, 'coco_ap': 1.0,
           'per_class': {'cone': {'voc10_ap50': 1.0}},
           'at_default_threshold': {'precision': 1.0, 'recall': 1.0}}
    card = figures(Metadata(('cone',), metrics={'val': row, 'street': {'negatives': counted}}))
    assert f'(street), at the default threshold: {phrase}.' in card
    assert '| street |' not in card
