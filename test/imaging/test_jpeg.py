"""Whether a JPEG is whole is known without decoding it."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from small_sets import scene

from ssd_perception.imaging.compressed import ImageError, read_header
from ssd_perception.imaging.jpeg import is_truncated, read_head


def jpeg(image=None, **options) -> bytes:
    data = io.BytesIO()
    Image.fromarray(scene(1) if image is None else image).save(data, 'JPEG', **options)
    return data.getvalue()


@pytest.mark.parametrize('options', [{}, {'progressive': True}, {'restart_marker_blocks': 2}])
def test_a_jpeg_has_its_end_whatever_follows(options):
    whole = jpeg(**options)
    for behind in (b'', b'\0' * 50, b'\xff\xda' + b'a video' * 9):
        assert not is_truncated(whole + behind)
    scan = whole.index(b'\xff\xda') if not options.get('progressive') else len(whole) - 40
    for end in (scan + 20, (scan + len(whole)) // 2, len(whole) - 2):
        assert is_truncated(whole[:end])


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture():
    thumbnail = jpeg(scene(2, 32, 24))
    segment = b'Exif\0\0' + thumbnail
    whole = jpeg()
    whole = whole[:2] + b'\xff\xe1' + struct.pack('>H', len(segment) + 2) + segment + whole[2:]
    assert not is_truncated(whole) and is_truncated(whole[:-30])


@pytest.mark.parametrize('data', [b'', b'\xff', b'\xff\xd8', b'\xff\xd8\xff', b'\x89PNG\r\n',
                                  b'\xff\xd8\xff\xff\xff', b'\xff\xd8\xff\xe0\0\0\xff\xe0\0\0'])
def test_what_is_no_jpeg_is_left_to_the_decoder(data):
    assert not is_truncated(data)


def test_the_first_frame_states_the_size_and_nothing_beyond_the_end_is_read():
    whole = jpeg(np.zeros((30, 50), np.uint8))
    assert read_head(whole)[:3] == (50, 30, 1)
    for end in range(len(whole) - 1):
        with pytest.raises(ImageError):
            read_header(memoryview(whole[:end]))
