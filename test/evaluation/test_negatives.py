"""False boxes on images without objects, counted by hand; and what the card says about them."""

import numpy as np
import pytest
from cases import detections_of

from ssd_perception.core.format import to_json
from ssd_perception.core.metadata import Metadata, MetadataError
from ssd_perception.data.sample import Sample, as_negatives
from ssd_perception.evaluation.accuracy import accuracy
from ssd_perception.evaluation.failures import FalseBoxes, count_false_boxes
from ssd_perception.evaluation.model_card import figures, write_card
from ssd_perception.evaluation.thresholds import OperatingPoint
from ssd_perception.evaluation.weights_metrics import SetMetrics

BOX = (0, 0, 10, 10)


@pytest.mark.parametrize('pictures, expected', [
    ([], (0, 0, 0, None)),
    ([[]], (1, 0, 0, None)),
    ([[(BOX, 0.25, 0)]], (1, 0, 0, 0.25)),
    ([[(BOX, 0.5, 0)], []], (2, 1, 1, 0.5)),  # the threshold itself counts, as in the node
    ([[(BOX, 0.75, 0), (BOX, 0.5, 1), (BOX, 0.25, 0)], [(BOX, 0.875, 1)]], (2, 3, 2, 0.875)),
])
def test_by_hand(pictures, expected):
    counted = count_false_boxes([detections_of(rows) for rows in pictures], 0.5)
    assert (counted.images, counted.false_boxes, counted.images_with_false_boxes,
            to_json(counted.highest_score)) == expected
    assert counted.score_threshold == 0.5


def test_objects_of_other_classes_are_forgotten(tmp_path):
    sample, = as_negatives([Sample(tmp_path / 'a.jpg', np.ones((2, 4), np.float32),
                                   ('dog', 'cat'), np.zeros(2, bool))])
    assert sample.path == tmp_path / 'a.jpg' and sample.names == ()
    assert sample.xyxy.shape == (0, 4) and sample.difficult.shape == (0,)


@pytest.mark.parametrize('boxes, where, phrase', [
    (0, 0, 'no false boxes on 9 images without these classes'),
    (1, 1, '1 false box on 9 images without these classes, in 1 of them'),
    (5, 2, '5 false boxes on 9 images without these classes, in 2 of them')])
def test_they_are_described_in_words_and_in_the_card(boxes, where, phrase):
    counted = FalseBoxes(9, 0.5, boxes, where, float('nan'))
    assert counted.describe() == phrase
    row = SetMetrics(accuracy([], [], ('cone',)),
                     at_default_threshold=OperatingPoint(0.5, 1.0, 1.0, 1.0))
    card = figures(Metadata(('cone',), metrics={
        'val': row.to_json(), 'street': SetMetrics(negatives=counted).to_json()}))
    assert f'(street), at the default threshold: {phrase}.' in card
    assert '| street |' not in card


def test_text_from_outside_is_neither_html_nor_a_cell_of_the_card(tmp_path):
    name, date = '<script>a|`b`<!-- /figures -->', 'today\n# [x](y)\x1b[31m'
    row = SetMetrics(accuracy([], [], (name,)), at_default_threshold=OperatingPoint(0.5, 1, 1, 1))
    metadata = Metadata((name,), metrics={'a|<b>': row.to_json()}, date=date,
                        package_version=date, attribution=date)
    card = figures(metadata)
    assert r'| a\|\<b> | 0 |' in card and r'today # \[x](y)\\x1b\[31m' in card
    plain = card.replace('\\<', '').replace('\\|', '').replace('\\[', '')
    assert not set('<[\x1b') & set(plain) and not any(
        line.startswith('#') for line in card.splitlines())
    rows = [line.count('|') for line in plain.splitlines() if line.startswith('|')]
    assert set(rows[:3]) == {7} and set(rows[3:]) == {6}
    path = tmp_path / 'card.md'  # somebody's, not in UTF-8: the rest of it stays as it is
    path.write_bytes(b'f\xfcr <!-- figures -->\n<!-- /figures -->\xff')
    write_card(path, metadata)
    assert path.read_bytes() == (b'f\xfcr <!-- figures -->\n' + card.encode()
                                 + b'\n<!-- /figures -->\xff')


@pytest.mark.parametrize('change', [
    {'voc10_ap50': 'x\x1b[31m'}, {'voc10_ap50': 10 ** 400}, {'at_default_threshold': ''},
    {'at_default_threshold': []}, {'calibration': 0}, {'corruptions': [7]}, {'per_class': 3},
    {'negatives': {}}, {'max_false_boxes': 'many'}])
def test_figures_of_another_form_are_one_sentence(change):
    counted = SetMetrics(negatives=FalseBoxes(9, 0.5, 1, 1, 0.5)).to_json()
    row = counted if 'max_false_boxes' in change else accuracy_row()
    metadata = Metadata(('cone',), metrics={'val': row | change})
    with pytest.raises(MetadataError, match='^"metrics" of the weights are not those') as caught:
        figures(metadata)
    assert str(caught.value).isprintable()


def accuracy_row():
    return SetMetrics(accuracy([], [], ('cone',))).to_json()
