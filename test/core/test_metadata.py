"""Metadata: round trip, and one sentence for each way in which a file can lie."""

import json

import pytest

from ssd_perception.core.metadata import Architecture, Metadata, MetadataError

GOOD = Metadata(('cone', 'cube'), metrics={'val': {'voc10_ap50': 0.9}})


def test_round_trip():
    assert Metadata.from_json(GOOD.to_json()) == GOOD


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
    (changed(class_names='cone'), 'class_names'),
    (changed(score_threshold=7), 'score_threshold'),
    (changed(architecture__input_hw=[10 ** 9, 64]), 'input_hw'),
    (changed(architecture__input_hw=[333, 64]), 'input_hw'),
    (changed(architecture__backbone='vgg'), 'backbone'),
    (changed(architecture__pyramid_channels=10 ** 6), 'pyramid_channels'),
    (changed(architecture__head_depth=True), 'head_depth'),
    (changed(architecture__anchors__base_scale='big'), 'base_scale'),
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
