"""Metadata: round trip, and one sentence for each way in which a file can lie."""

import json

import numpy as np
import pytest

from ssd_perception.core.anchors import LevelAnchors
from ssd_perception.core.metadata import (
    Architecture,
    Metadata,
    MetadataError,
    PublishedArchitecture,
)
from ssd_perception.core.postprocess import Scoring

GOOD = Metadata(('cone', 'cube'), metrics={'val': {'voc10_ap50': 0.9}})


def test_round_trip():
    assert Metadata.from_json(GOOD.to_json()) == GOOD


def test_files_of_the_first_version_still_load():
    data = json.loads(GOOD.to_json()) | {'format_version': 1}
    del data['scoring'], data['source'], data['preprocessing']['pixel_type']
    assert Metadata.from_json(json.dumps(data)) == GOOD


def test_anchors_listed_one_by_one_come_back():
    level = LevelAnchors((2, 3), 40.0, ((32.0, 64.0), (50.0, 50.0)))
    metadata = Metadata(('dog',), PublishedArchitecture('ssd300_vgg16', (300, 300), (level,)),
                        scoring=Scoring('softmax', 1, 400))
    assert Metadata.from_json(metadata.to_json()) == metadata
    anchors = metadata.architecture.make_anchors()
    assert metadata.architecture.anchor_count == len(anchors) == 12 and metadata.columns == 2
    np.testing.assert_allclose(anchors[:3], [[20, 20, 32, 64], [20, 20, 50, 50],
                                             [60, 20, 32, 64]])
    np.testing.assert_allclose(anchors[-1], [100, 60, 50, 50])


LISTED = {'network': 'ssd300_vgg16', 'input_hw': [300, 300],
          'levels': [{'shape': [2, 2], 'step': 150.0, 'sizes': [[30.0, 30.0]]}]}


@pytest.mark.parametrize('change, message', [
    ({'network': 'yolo'}, 'network'),
    ({'input_hw': [300, 10 ** 6]}, 'input_hw'),
    ({'levels': []}, 'levels'),
    ({'levels': [{'shape': [10 ** 6, 2], 'step': 1.0, 'sizes': [[1.0, 1.0]]}]}, 'levels'),
    ({'levels': [{'shape': [2, 2], 'step': 1.0, 'sizes': [[float('nan'), 1.0]]}]}, 'levels'),
    ({'levels': [{'shape': [2, 2], 'step': 1.0, 'sizes': [[1.0]]}]}, 'levels'),
    ({'levels': [{'shape': [2, 2], 'step': 0.0, 'sizes': [[1.0, 1.0]]}]}, 'levels'),
])
def test_listed_anchors_out_of_bounds_are_refused(change, message):
    with pytest.raises(MetadataError, match=message):
        Metadata.from_json(changed(architecture=LISTED | change))


def changed(**changes):
    data = json.loads(GOOD.to_json())
    for path, value in changes.items():
        place = data
        *parents, last = path.split('__')
        for parent in parents:
            place = place[parent]
        place[last] = value
    return json.dumps(data)


@pytest.mark.parametrize('text, message', [
    ('', 'not JSON'),
    ('[]', 'format_version'),
    (changed(format_version=99), 'format_version'),
    (changed(surprise=1), 'Unknown key "surprise"'),
    (changed(class_names=[]), 'class_names'),
    (changed(class_names=['a', 'a']), 'class_names'),
    (changed(class_names='cone'), 'class_names" must be a list, got'),
    (changed(score_threshold=7), 'score_threshold'),
    (changed(architecture__input_hw=[10 ** 9, 64]), 'input_hw'),
    (changed(architecture__input_hw=[333, 64]), 'input_hw'),
    (changed(architecture__backbone='vgg'), 'backbone'),
    (changed(architecture__pyramid_channels=10 ** 6), 'pyramid_channels'),
    (changed(architecture__head_depth=True), 'head_depth" must be a whole number, got True'),
    (changed(architecture__heads='separate'), 'heads'),
    (changed(architecture__anchors__base_scale='big'), 'base_scale" must be a number'),
    (changed(preprocessing__pixel_type='float64'), 'pixel_type'),
    (changed(scoring__activation='tanh'), 'activation'),
    (changed(scoring__other_columns=10 ** 9), 'other_columns'),
    (changed(scoring__candidates_per_class=-1), 'candidates_per_class'),
    (changed(scoring__candidates_per_class=1000, class_names=[f'c{i}' for i in range(101)]),
     'candidates_per_class'),
    (changed(preprocessing__std=[0, 0, 0]), 'std'),
    (changed(preprocessing__mean=[float('nan')] * 3), 'mean'),
    ('[' * 100000, 'not JSON'),
    (' ' * 2_000_000, 'more than'),
])
def test_a_lying_file_is_refused_in_one_sentence(text, message):
    with pytest.raises(MetadataError, match=message):
        Metadata.from_json(text)


def test_strides_are_bounded():
    with pytest.raises(MetadataError, match='strides'):
        Architecture(strides=(8, 24, 32))


@pytest.mark.parametrize('value', ['[' * 940 + ']' * 940, '{"a":' * 940 + '1' + '}' * 940,
                                   '1' + '0' * 4000, '1' + '0' * 5000, '"' + 'x' * 900_000 + '"'],
                         ids=range(5))
@pytest.mark.parametrize('key', ['class_names', 'architecture', 'score_threshold', 'unknown'])
def test_whatever_a_value_is_the_refusal_is_short(key, value):
    text = Metadata(('a',)).to_json()[:-1] + f', "{key}": {value}' + '}'
    with pytest.raises(MetadataError) as caught:
        Metadata.from_json(text)
    assert len(str(caught.value)) < 400
