"""Whatever annotations hold, they are read or refused with a sentence, and nothing else."""

import json

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_sets import coco, write_coco, write_voc, write_yolo, xml

from ssd_perception.core.errors import DataError
from ssd_perception.data.layout import read_split, splits

SETS = {'train': {'a': [('cone', (5, 5, 40, 40)), ('cube', (1, 2, 30, 40))], 'b': []}}
QUICK = settings(max_examples=60, deadline=None, derandomize=True,
                 suppress_health_check=[HealthCheck.function_scoped_fixture])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(['id', 'image_id', 'category_id', 'bbox', 'file_name', 'name', 'x']),
        inner, max_size=5), max_leaves=12)
edits = st.lists(st.tuples(st.integers(0, 2 ** 16), st.sampled_from(['cut', 'set', 'insert']),
                           st.binary(min_size=1, max_size=6)), min_size=1, max_size=6)


def edited(data: bytes, changes) -> bytes:
    """Return ``data`` with bytes removed, replaced or inserted."""
    for place, what, new in changes:
        at = place % (len(data) + 1)
        data = data[:at] + (b'' if what == 'cut' else new) + data[
            at + (0 if what == 'insert' else len(new)):]
    return data


def check(root):
    """Read a folder that may hold anything; assert what every reader promises."""
    errors = []
    try:
        splits(root)
        found = read_split(root, 'train', None, errors.append)
    except DataError as error:
        found = []
        errors.append(error)
    for sample in found:
        assert sample.path.is_file() and sample.path.resolve().is_relative_to(root.resolve())
        assert sample.xyxy.shape == (len(sample.names), 4) and len(sample.difficult) == len(
            sample.names)
        assert np.isfinite(sample.xyxy).all()
        assert (sample.xyxy[:, 2:] > sample.xyxy[:, :2]).all()
        assert all(name.isprintable() and 1 <= len(name) <= 100 for name in sample.names)
    for error in errors:
        assert '\n' not in str(error) and len(str(error)) < 2000
    assert found or errors


@QUICK
@given(changes=edits)
def test_voc(tmp_path, changes):
    root = write_voc(tmp_path, SETS)
    (root / 'Annotations/a.xml').write_bytes(edited(
        b'<?xml version="1.0" encoding="gb2312"?>' + xml(SETS['train']['a']).encode(), changes))
    check(root)
    (root / 'Annotations/a.xml').write_text(xml())
    (root / 'ImageSets/Main/train.txt').write_bytes(edited(b'a\nb\n', changes))
    check(root)


@QUICK
@given(changes=edits)
def test_coco_bytes(tmp_path, changes):
    root = write_coco(tmp_path, SETS)
    (root / 'annotations/instances_train.json').write_bytes(edited(
        json.dumps(coco(SETS['train'])).encode(), changes))
    check(root)


@QUICK
@given(key=st.sampled_from(['images', 'annotations', 'categories']), place=st.integers(0, 3),
       field=st.sampled_from(['id', 'image_id', 'category_id', 'bbox', 'file_name', 'name', None]),
       value=json_values)
def test_coco_values(tmp_path, key, place, field, value):
    root = write_coco(tmp_path, SETS)
    data = coco(SETS['train'])
    rows = data[key]
    if field is None:
        rows.insert(place, value)
    else:
        rows[place % len(rows)][field] = value
    (root / 'annotations/instances_train.json').write_text(json.dumps(data))
    check(root)


@QUICK
@given(changes=edits, which=st.sampled_from(['data.yaml', 'train/labels/a.txt', 'list.txt']))
def test_yolo(tmp_path, changes, which):
    root = write_yolo(tmp_path, SETS)
    if which == 'list.txt':
        (root / 'data.yaml').write_text('train: list.txt\nnames: [cone, cube]\n')
        (root / which).write_text('train/images/a.jpg\n/x/train/images/b.jpg\n')
    (root / which).write_bytes(edited((root / which).read_bytes(), changes))
    check(root)


@QUICK
@given(names=json_values, train=json_values)
def test_yolo_description(tmp_path, names, train):
    root = write_yolo(tmp_path, SETS)
    (root / 'data.yaml').write_text(json.dumps(  # YAML, too
        {'names': names, 'train': train, 'val': 'train/images'}))
    check(root)
