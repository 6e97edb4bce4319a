"""A file is the new one or the old one, never a part."""

import os
import resource
import subprocess
import sys

import pytest

from ssd_perception.core.atomic_write import atomic_write


@pytest.mark.parametrize('shared', [False, True])
@pytest.mark.parametrize('data', [b'', b'new', bytearray(b'new'), memoryview(b'new')])
def test_it_holds_what_was_given_and_nothing_lies_beside_it(tmp_path, data, shared):
    path = tmp_path / 'file'
    path.write_bytes(b'something longer')
    (tmp_path / 'file.partial').write_bytes(b'of a killed process')
    assert atomic_write(path, data, shared) == path
    assert path.read_bytes() == bytes(data)
    assert os.listdir(tmp_path) == ['file'] or shared


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    program = ('import sys\nfrom ssd_perception.core.atomic_write import atomic_write\n'
               'atomic_write(sys.argv[1], bytes(2000))')
    done = subprocess.run(
        [sys.executable, '-c', program, path], capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    assert done.returncode == 1 and 'File too large' in done.stderr
    assert path.read_bytes() == b'old' and os.listdir(tmp_path) == ['file']


@pytest.mark.parametrize('shared', [False, True])
def test_a_link_under_the_temporary_name_is_not_followed(tmp_path, shared):
    target = tmp_path / 'precious'
    target.write_bytes(b'precious')
    for name in ('file.partial', f'file.{os.getpid()}.partial'):
        (tmp_path / name).symlink_to(target)
    atomic_write(tmp_path / 'file', b'new', shared)
    assert target.read_bytes() == b'precious'
    assert (tmp_path / 'file').read_bytes() == b'new' and not (tmp_path / 'file').is_symlink()
