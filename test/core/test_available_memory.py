"""The memory that is left: of the machine, and within the limits of a container."""

import pytest

from ssd_perception.core import memory


@pytest.mark.parametrize('limit, left', [('max', None), ('1000000', 600_000)])
def test_files_that_a_container_has_read_are_no_used_memory(tmp_path, monkeypatch, limit, left):
    (tmp_path / 'memory.max').write_text(f'{limit}\n')
    (tmp_path / 'memory.current').write_text('900000\n')
    (tmp_path / 'memory.stat').write_text(
        'anon 400000\nactive_file 200000\ninactive_file 300000\n')
    monkeypatch.setattr(memory, '_CGROUP', tmp_path)
    found = memory.available_bytes()
    assert found == left if left else found > 1_000_000
