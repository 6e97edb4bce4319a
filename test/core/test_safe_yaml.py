"""YAML from outside is read in bounded time and memory, or refused in half a sentence."""

import pytest

yaml = pytest.importorskip('yaml')
from ssd_perception.core.safe_yaml import YamlError, load_yaml  # noqa: E402


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
    ('x' * 10_000_001, 'longer than'),
    ('a: "\x00"', 'not valid YAML'),
], ids=['aliases', 'itself', 'deep', 'cut', 'date', 'tag', 'two', 'long', 'null'])
def test_what_is_not_read_is_refused(text, reason):
    with pytest.raises(YamlError, match=reason):
        load_yaml(text)
