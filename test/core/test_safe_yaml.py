"""YAML from outside is read in bounded time and memory, or refused in half a sentence."""

import pytest

yaml = pytest.importorskip('yaml')
from ssd_perception.core.safe_yaml import YamlError, load_yaml, read_yaml  # noqa: E402


def test_what_is_read_is_what_yaml_reads():
    text = 'a: &shared [1, 2.5, yes, null, "x"]\nb: *shared\nc: {d: 2026-01-02}\n'
    assert load_yaml(text) == yaml.safe_load(text)
    assert load_yaml('') is None
    assert load_yaml(yaml.safe_dump({'list': list(range(10_000))}))['list'][-1] == 9999


BOMB = 'a0: &a0 [x, x]\n' + ''.join(
    f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 12))


@pytest.mark.parametrize('text, reason', [
    (BOMB, 'more than the 1000000 values'),
    ('a: &a [1, *a]', 'refers to itself'),
    ('[' * 100_000, 'nested too deeply'),
    ('a: [', 'not valid YAML'), ('a: 2026-99-99', 'not valid YAML'),
    ('!!python/object/apply:os.system [ls]', 'not valid YAML'),
    ('a: b\n---\nc: d\n', 'not valid YAML'),
    ('x' * 2_000_001, 'longer than'),
    ('a: "\x00"', 'not valid YAML'),
    ('a: ' + '1:' * 200_000 + '1', 'more than the 100000 characters'),
], ids=['aliases', 'itself', 'deep', 'cut', 'date', 'tag', 'two', 'long', 'null', 'number'])
def test_what_is_not_read_is_refused(text, reason):
    with pytest.raises(YamlError, match=reason):
        load_yaml(text)


def test_scalars_stay_texts_where_that_is_asked_for():
    assert load_yaml('names: [no, 007, 1e3, ~]', as_texts=True) == {
        'names': ['no', '007', '1e3', '~']}


def test_a_file_is_read_to_its_bound_only(tmp_path):
    (tmp_path / 'a.yaml').write_bytes('a: 1'.encode('utf-8-sig'))
    assert read_yaml(tmp_path / 'a.yaml') == {'a': 1}
    with open(tmp_path / 'b.yaml', 'wb') as file:
        file.truncate(10 ** 12)  # sparse
    with pytest.raises(YamlError, match='longer than the 1000 bytes'):
        read_yaml(tmp_path / 'b.yaml', max_bytes=1000)
    (tmp_path / 'c.yaml').write_bytes(b'a: \xff')
    with pytest.raises(YamlError, match='is not UTF-8'):
        read_yaml(tmp_path / 'c.yaml')
