"""Odd images are read, hostile ones refused in bounded time and memory, whatever reads them."""

import io
import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from odd_jpegs import odd_jpegs
from PIL import Image
from small_sets import scene

from ssd_perception.core.errors import DataError
from ssd_perception.imaging import compressed, jpeg
from ssd_perception.imaging.compressed import ImageError, decode, decode_shrunk
from ssd_perception.imaging.files import image_size, read_image

ODD = odd_jpegs(scene(1, 64, 48))
EXPECTED = cv2.imdecode(np.frombuffer(ODD['plain'], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
READ = """
import sys
from ssd_perception.core.errors import DataError
from ssd_perception.imaging.files import read_image
try:
    print(read_image(sys.argv[1]).shape)
except DataError as error:
    print(str(error)[:400].replace('\\n', ' '))
print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))
"""


@pytest.mark.parametrize('name', ODD)
def test_odd_jpegs_are_read_by_files_and_messages(tmp_path, name):
    (tmp_path / 'a.jpg').write_bytes(ODD[name])
    np.testing.assert_array_equal(read_image(tmp_path / 'a.jpg'), EXPECTED)
    assert image_size(tmp_path / 'a.jpg') == (48, 64)
    np.testing.assert_array_equal(decode(ODD[name]), EXPECTED)
    shrunk, factor = decode_shrunk(ODD[name], lambda height, width: (6, 8))
    assert factor == 4 and shrunk.shape == (12, 16, 3)


@pytest.mark.parametrize('data', [
    b'\xff\xd8' + b'\xff' * 20_000_000, b'\xff\xd8' + b'\xff\1' * 10_000_000,
    b'\xff\xd8' + b'\xff\xe0\0\2' * 5_000_000,
    b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0abcd'
    + b'\0\0\0\0tEXtabcd' * 2_000_000], ids=['fill', 'bare', 'segments', 'chunks'])
def test_twenty_megabytes_of_markers_are_not_walked_to_their_end(tmp_path, data, monkeypatch):
    looked_at = []
    monkeypatch.setattr(jpeg, '_CODE', Counted(jpeg._CODE, looked_at))
    monkeypatch.setattr(compressed, 'struct', Counted(struct, looked_at))
    monkeypatch.setattr(cv2, 'imdecode', None)  # what is refused is not decoded
    with pytest.raises(ImageError):
        decode(data)
    (tmp_path / 'a.jpg').write_bytes(data)
    if data.startswith(b'\xff\xd8'):
        with pytest.raises(DataError):
            read_image(tmp_path / 'a.jpg')
    assert 0 < len(looked_at) <= max(2 * jpeg.MAX_MARKERS, compressed.MAX_CHUNKS) + 10


class Counted:
    """Counts the calls of whatever is called of an object."""

    def __init__(self, inner, calls):
        self._inner, self._calls = inner, calls

    def __getattr__(self, name):
        found = getattr(self._inner, name)

        def call(*args):
            self._calls.append(name)
            return found(*args)
        return call if callable(found) and not isinstance(found, type) else found


def progressive(scans, width, height):
    """Return a JPEG that states so many pixels, with its last scan repeated."""
    data = cv2.imencode('.jpg', np.zeros((16, 16), np.uint8),
                        [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    frame, last = data.index(b'\xff\xc2'), data.rindex(b'\xff\xda')
    data = data[:frame + 5] + struct.pack('>HH', height, width) + data[frame + 9:]
    return data[:-2] + data[last:-2] * (scans - data.count(b'\xff\xda')) + data[-2:]


@pytest.mark.parametrize('scans, width, height', [
    (101, 16, 16), (16, 9900, 9900), (61, 5000, 5000)])
def test_a_jpeg_of_many_scans_is_not_decoded(tmp_path, monkeypatch, scans, width, height):
    monkeypatch.setattr(cv2, 'imdecode', None)
    data = progressive(scans, width, height)
    (tmp_path / 'a.jpg').write_bytes(data)
    with pytest.raises(DataError, match='more scans than are decoded'):
        read_image(tmp_path / 'a.jpg')
    with pytest.raises(ImageError, match='more scans than|more than the|too few bytes'):
        decode(data)


def test_a_jpeg_of_twenty_scans_is_decoded():
    assert decode(progressive(20, 16, 16)).shape == (16, 16, 3)
    assert decode(progressive(20, 16, 16) + b'\xff\xda a video' * 200).shape == (16, 16, 3)


def saved(kind, side=9000, **options):
    data = io.BytesIO()
    Image.new('L', (side, side)).save(data, kind, **options)
    return data.getvalue()


def png(width, height, *chunks):
    data = b'\x89PNG\r\n\x1a\n'
    for kind, content in ((b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)),
                          *chunks, (b'IDAT', zlib.compress(bytes(height * (width + 1)))),
                          (b'IEND', b'')):
        data += struct.pack('>I', len(content)) + kind + content
        data += struct.pack('>I', zlib.crc32(kind + content))
    return data


def exif(entries):
    """Return a JPEG whose EXIF lists ``entries`` (tag, type, count, offset) and then itself."""
    rows = b''.join(struct.pack('<HHII', *entry) for entry in entries)
    tiff = b'II*\0\x08\0\0\0' + struct.pack('<H', len(entries)) + rows + struct.pack('<I', 8)
    content = b'Exif\0\0' + tiff
    return ODD['plain'][:2] + b'\xff\xe1' + struct.pack(
        '>H', len(content) + 2) + content + ODD['plain'][2:]


def tiff(width, height, compression, tile):
    """Return a grey TIFF with one square tile of zeros that its data do not fill."""
    data = bytes(1000)
    tags = [(256, width), (257, height), (258, 8), (259, compression), (262, 1), (277, 1),
            (322, tile), (323, tile), (324, 8 + 2 + 10 * 12 + 4), (325, len(data))]
    return b'II*\0' + struct.pack('<IH', 8, len(tags)) + b''.join(
        struct.pack('<HHII', tag, 4, 1, value) for tag, value in tags) + bytes(4) + data


def lying_avif():
    data = io.BytesIO()
    Image.new('RGB', (8200, 8300)).save(data, 'AVIF', speed=10)
    data = data.getvalue()
    place = data.index(b'ispe') + 8
    return data[:place] + struct.pack('>II', 64, 64) + data[place + 8:]


BOMBS = {  # made where they are used: some take seconds
    # Refused: more than 100 million pixels, or of a format whose size nobody states.
    'tiff': (lambda: saved('TIFF', 20_000, compression='tiff_lzw'), 'more than 100000000 pixels'),
    'tiff of one tile': (lambda: tiff(8, 8, compression=5, tile=30_000),
                         'a TIFF of more than 400000000'),
    'gif': (lambda: saved('GIF', 64).replace(struct.pack('<HH', 64, 64),
                                             struct.pack('<HH', 9999, 9999)), 'not an image'),
    'webp': (lambda: saved('WEBP', 9000, lossless=True), 'more than 67108864 pixels'),
    # The box with the size states 64x64, the frame has 8200x8300.
    'avif that lies': (lying_avif, 'not an image'),
    'png': (lambda: png(11_000, 11_000), 'more than 100000000 pixels'),
    'ppm': (lambda: b'P6 30000 30000 255\n', 'not an image'),
    'sun raster': (lambda: struct.pack('>8I', 0x59a66a95, 30_000, 30_000, 24, 0, 1, 0, 0),
                   'not an image'),
    'pfm': (lambda: b'PF\n30000 30000\n-1.0\n', 'not an image'),
    # Read: what hangs at an image is not looked at.
    'text': (lambda: png(40, 30, *[(b'zTXt', b'a\0\0' + zlib.compress(bytes(50_000_000)))] * 3),
             '(30, 40, 3)'),
    'profile': (lambda: png(40, 30, (b'iCCP', b'a\0\0' + zlib.compress(bytes(50_000_000)))),
                '(30, 40, 3)'),
    'exif': (lambda: exif([(0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0x010E, 2, 2 ** 32 - 1, 8),
                   (0x0112, 3, 2 ** 31, 8), (0x0201, 4, 1, 2 ** 32 - 1)]), '(48, 64, 3)')}
if cv2.haveImageWriter('.jp2'):
    BOMBS['jpeg 2000'] = (lambda: cv2.imencode('.jp2', np.zeros((9000, 9000), np.uint8))[1]
                          .tobytes(), 'not an image')


@pytest.mark.parametrize('name', BOMBS)
def test_a_small_file_does_not_become_gigabytes(tmp_path, name):
    make, expected = BOMBS[name]
    data = make()
    assert len(data) < 3_000_000
    path = tmp_path / 'bomb.jpg'
    path.write_bytes(data)
    done = subprocess.run([sys.executable, '-c', READ, path], capture_output=True, text=True,
                          timeout=60, env=dict(os.environ))
    said, peak = done.stdout.splitlines()
    assert expected in said and int(peak) < 300 * 1024, done.stdout
