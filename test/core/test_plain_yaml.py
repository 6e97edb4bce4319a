"""YAML from outside is read in bounded time and memory, or refused with one short sentence."""

import pytest

from ssd_perception.core.plain_yaml import MAX_BYTES, parse_yaml, read_yaml


def test_plain_documents_are_read():
    text = 'a: [1, no, 2.5]\nb: {c: x}\n'
    assert parse_yaml(text) == {'a': [1, False, 2.5], 'b': {'c': 'x'}}
    assert parse_yaml(text, as_texts=True) == {'a': ['1', 'no', '2.5'], 'b': {'c': 'x'}}
    assert parse_yaml('') is None


@pytest.mark.parametrize('text, says', [
    ('a: &x [1]\nb: [*x, *x]', 'aliases .*line 2'), ('x: ' + '[' * 10_000, 'more than 20 levels'),
    ('a: [1', 'line 1'), ('!!python/object/apply:os.system [x]', 'constructor'),
    ('? {a: 1}\n: 2', 'unhashable'), (b'\x00', 'not allowed'), ('a: ' + '1' * 5000, '.'),
    ('a: ' + '1:' * 200_000 + '1', 'more than 100000 characters'),
    (' ' * (MAX_BYTES + 1), 'more than the 1000000')], ids=range(9))
def test_anything_else_is_refused(text, says):
    with pytest.raises(ValueError, match=says) as error:
        parse_yaml(text)
    assert len(str(error.value)) <= 200 and '\n' not in str(error.value)


def test_a_file_is_read_to_its_bound_only(tmp_path):
    (tmp_path / 'a.yaml').write_text('a: 1')
    assert read_yaml(tmp_path / 'a.yaml') == {'a': 1}
    with open(tmp_path / 'b.yaml', 'wb') as file:
        file.truncate(10 ** 12)  # sparse
    with pytest.raises(ValueError, match='more than the 1000000'):
        read_yaml(tmp_path / 'b.yaml')
    with pytest.raises(OSError):
        read_yaml(tmp_path / 'gone.yaml')
