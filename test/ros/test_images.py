"""Every encoding becomes the same RGB picture, or one sentence that says why not."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

pytest.importorskip('sensor_msgs')
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from ssd_perception.imaging import compressed  # noqa: E402
from ssd_perception.imaging.compressed import ImageError  # noqa: E402
from ssd_perception.imaging.encodings import ENCODINGS, to_rgb  # noqa: E402
from ssd_perception.ros.messages import compressed_message, image_message  # noqa: E402

HEIGHT, WIDTH = 32, 48


def colour_bars() -> np.ndarray:
    """Flat areas, 16 px wide and high, so that subsampled colours and demosaicing are exact."""
    colours = np.array([[[250, 20, 30], [30, 240, 40], [40, 30, 245]],
                        [[250, 240, 30], [128, 128, 128], [20, 220, 230]]], np.uint8)
    return colours.repeat(16, 0).repeat(16, 1)


def interior(rgb: np.ndarray) -> np.ndarray:
    """Drop what lies near an edge between two colours."""
    inside = np.arange(16)[4:-4]
    rows = np.concatenate([inside, 16 + inside])
    columns = np.concatenate([inside, 16 + inside, 32 + inside])
    return rgb[rows][:, columns].astype(int)


def yuv(rgb: np.ndarray) -> np.ndarray:
    """BT.601 in the video range, float (H, W, 3), after Poynton; what cameras send."""
    r, g, b = np.moveaxis(rgb.astype(float) / 255, -1, 0)
    return np.stack([16 + 65.481 * r + 128.553 * g + 24.966 * b,
                     128 - 37.797 * r - 74.203 * g + 112.0 * b,
                     128 + 112.0 * r - 93.786 * g - 18.214 * b], -1).round().astype(np.uint8)


def mosaic(rgb: np.ndarray, pattern: str) -> np.ndarray:
    """Return (H, W): of every pixel the one colour that its Bayer filter lets through."""
    rows, columns = np.mgrid[:rgb.shape[0], :rgb.shape[1]]
    channel = np.array(['rgb'.index(c) for c in pattern]).reshape(2, 2)[rows % 2, columns % 2]
    return np.take_along_axis(rgb, channel[..., None], 2)[..., 0]


def encode(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Write ``rgb`` in ``encoding``, independently of the code under test: (rows, samples)."""
    height, width = rgb.shape[:2]
    if encoding.endswith('16') or encoding == '16UC1':
        eight = {'16UC1': 'mono8'}.get(encoding, encoding[:-2] + '8')
        return encode(rgb, eight).astype(np.uint16) * 257
    if encoding.startswith('bayer'):
        return mosaic(rgb, encoding[6:10])
    alpha = np.full((height, width), 7, np.uint8)
    plain = {'rgb8': rgb, 'bgr8': rgb[..., ::-1], '8UC3': rgb[..., ::-1],
             'rgba8': np.dstack([rgb, alpha]), 'bgra8': np.dstack([rgb[..., ::-1], alpha]),
             '8UC4': np.dstack([rgb[..., ::-1], alpha]),
             'mono8': rgb[..., 1], '8UC1': rgb[..., 1]}
    if encoding in plain:
        return plain[encoding].reshape(height, -1)
    y, u, v = np.moveaxis(yuv(rgb), -1, 0)
    rows = {
        'uyvy': np.stack([u[:, ::2], y[:, ::2], v[:, ::2], y[:, 1::2]], -1),
        'yuyv': np.stack([y[:, ::2], u[:, ::2], y[:, 1::2], v[:, ::2]], -1),
        'nv12': np.concatenate([y, np.stack([u, v], -1)[::2, ::2].reshape(-1, width)]),
        'nv21': np.concatenate([y, np.stack([v, u], -1)[::2, ::2].reshape(-1, width)]),
        'nv24': np.concatenate([y, np.stack([u, v], -1).reshape(-1, width)]),
    }
    rows['yuv422'], rows['yuv422_yuy2'] = rows['uyvy'], rows['yuyv']
    return rows[encoding].reshape(len(rows[encoding]), -1)


def message(rgb: np.ndarray, encoding: str, padding: int = 0, big_endian: bool = False) -> Image:
    samples = encode(rgb, encoding)
    if big_endian:
        samples = samples.astype('>u2')
    data = np.ascontiguousarray(samples).view(np.uint8)
    data = np.pad(data, ((0, 0), (0, padding)), constant_values=99)
    return Image(height=rgb.shape[0], width=rgb.shape[1], encoding=encoding, step=data.shape[1],
                 is_bigendian=int(big_endian), data=data.tobytes())


def expected(rgb: np.ndarray, encoding: str) -> np.ndarray:
    grey = encoding.startswith('mono') or encoding.endswith('UC1')
    return rgb[..., [1, 1, 1]] if grey else rgb


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('encoding', sorted(ENCODINGS))
def test_every_encoding_gives_the_same_picture(encoding, padding):
    rgb = colour_bars()
    found = to_rgb(message(rgb, encoding, padding))
    assert found.shape == (HEIGHT, WIDTH, 3) and found.dtype == np.uint8
    tolerance = 3 if encoding in ('uyvy', 'yuyv', 'yuv422', 'yuv422_yuy2') or 'nv' in encoding \
        else 0
    np.testing.assert_allclose(interior(found), interior(expected(rgb, encoding)), atol=tolerance)


@pytest.mark.parametrize('encoding', sorted(e for e in ENCODINGS if '16' in e))
def test_big_endian_is_honoured(encoding):
    rgb = colour_bars()
    np.testing.assert_array_equal(to_rgb(message(rgb, encoding, 6, big_endian=True)),
                                  to_rgb(message(rgb, encoding)))


def test_rgb8_is_not_copied():
    source = message(colour_bars(), 'rgb8', 5)
    assert np.shares_memory(to_rgb(source), np.frombuffer(source.data, np.uint8))


@pytest.mark.parametrize('size', [(1, 1), (1, 5), (5, 1), (333, 217)])
def test_odd_sizes(size):
    rgb = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    for encoding in ('rgb8', 'bgr8', 'bgra16'):
        np.testing.assert_array_equal(to_rgb(message(rgb, encoding)), rgb)


def test_missing_padding_of_the_last_row_is_forgiven():
    rgb = colour_bars()
    source = message(rgb, 'bgr8', 10)
    source.data = source.data[:-10]
    np.testing.assert_array_equal(to_rgb(source), rgb)


@pytest.mark.parametrize('fields, words', [
    (dict(width=0), ['0x32', 'no pixels']),
    (dict(height=0), ['no pixels']),
    (dict(step=0), ['bgr8', 'step of at least 144', 'got 0']),
    (dict(step=143), ['step of at least 144', 'got 143']),
    (dict(data=b''), ['needs 4608 bytes', 'got 0']),
    (dict(data=bytes(4607)), ['48x32', 'needs 4608 bytes', 'got 4607']),
    (dict(height=1 << 31), ['needs', 'got 4608']),
    (dict(encoding=''), ['Encoding ""', 'known are']),
    (dict(encoding='32FC1'), ['"32FC1"', 'mono8']),
    (dict(encoding='x' * 10000), ['known are']),
    (dict(encoding='uyvy', width=47), ['47x32', 'even']),
    (dict(encoding='nv12', height=31), ['48x31', 'both sides must be even']),
    (dict(encoding='bayer_rggb8', width=2), ['3x3', '2x32']),
    (dict(encoding='mono8', width=1 << 20, height=1, step=1 << 20, data=bytes(1 << 20)),
     ['1048576x1', '16384 a side']),
    (dict(encoding='mono8', width=1 << 13, height=(1 << 12) + 1, step=1 << 13,
          data=bytes((1 << 25) + (1 << 13))), ['8192x4097', 'more than the 33554432 pixels']),
])
def test_refusals_name_what_was_expected_and_found(fields, words):
    source = message(colour_bars(), 'bgr8')
    for name, value in fields.items():
        setattr(source, name, value)
    with pytest.raises(ImageError) as caught:
        to_rgb(source)
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert '\n' not in text and len(text) < 500


def blob(extension: str, pixels: np.ndarray, *options: int) -> CompressedImage:
    return CompressedImage(data=cv2.imencode(extension, pixels, list(options))[1].tobytes())


def test_compressed_pictures():
    rgb = colour_bars()
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    np.testing.assert_array_equal(to_rgb(blob('.png', bgr)), rgb)
    np.testing.assert_allclose(to_rgb(blob('.png', bgr.astype(np.uint16) * 257)), rgb, atol=1)
    np.testing.assert_array_equal(to_rgb(blob('.png', rgb[..., 1])), rgb[..., [1, 1, 1]])
    found = to_rgb(blob('.jpg', bgr, cv2.IMWRITE_JPEG_QUALITY, 98))
    np.testing.assert_allclose(interior(found), interior(rgb), atol=4)
    progressive = blob('.jpg', bgr, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert to_rgb(progressive).shape == rgb.shape


def bomb_png(width: int, height: int) -> bytes:
    header = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + header
            + struct.pack('>I', zlib.crc32(header)) + b'\0\0\0\0IEND\xaeB`\x82')


def long_chunk_png() -> bytes:
    """A small picture whose data chunk announces 4 GB, which OpenCV would allocate."""
    data = bytearray(blob('.png', colour_bars()).data)
    at = data.index(b'IDAT') - 4
    data[at:at + 4] = b'\xee\0\0\0'
    return bytes(data)


def bomb_jpeg() -> bytes:
    data = bytearray(blob('.jpg', colour_bars()).data)
    at = data.index(b'\xff\xc0')
    data[at + 5:at + 9] = struct.pack('>HH', 65535, 65535)
    return bytes(data)


@pytest.mark.parametrize('data, words', [
    (b'', ['0 bytes', 'must be JPEG or PNG']),
    (b'GIF89a' + bytes(99), ['47 49 46', 'must be JPEG or PNG']),
    (b'\xff\xd8\xff', ['truncated']),
    (bomb_png(100_000, 100_000), ['100000x100000', 'allowed']),
    (bomb_png(1 << 20, 1), ['1048576x1', 'allowed']),
    (bomb_png(0, 9), ['0x9', 'no pixels']),
    (bomb_jpeg(), ['65535x65535', 'allowed']),
    (bomb_png(5000, 5000), ['5000x5000', 'too few bytes']),
    (blob('.jpg', colour_bars()).data.tobytes()[:-2] + b'\xff\xda' * 200 + b'\xff\xd9',
     ['more scans than are decoded']),
    (bytes(blob('.jpg', colour_bars()).data[:-200]), ['truncated']),
    (bytes(blob('.png', colour_bars()).data[:-20]), ['truncated']),
    (bomb_png(64, 64), ['64x64', 'corrupt']),
    (long_chunk_png(), ['PNG', 'truncated or corrupt']),
])
def test_bad_blobs_are_refused_in_one_sentence(data, words, monkeypatch):
    # A bomb must not even reach the decoder.
    if words[-1] in ('allowed', 'too few bytes', 'truncated or corrupt'):
        monkeypatch.setattr(compressed.cv2, 'imdecode', None)
    with pytest.raises(ImageError) as caught:
        to_rgb(CompressedImage(data=data))
    assert all(word in str(caught.value) for word in words), caught.value


def test_noise_is_refused_or_decoded_but_never_crashes():
    rng = np.random.default_rng(0)
    good = bytearray(blob('.jpg', colour_bars()).data)
    for _ in range(300):
        data = bytearray(good)
        for place in rng.integers(0, len(data), 5):
            data[place] = rng.integers(256)
        try:
            assert to_rgb(CompressedImage(data=bytes(data))).dtype == np.uint8
        except ImageError:
            pass


def test_annotated_messages_come_back_the_same():
    from std_msgs.msg import Header
    rgb, header = colour_bars(), Header(frame_id='camera')
    sent = image_message(header, rgb)
    assert sent.header == header and sent.step == 3 * WIDTH
    np.testing.assert_array_equal(to_rgb(sent), rgb)
    jpeg = compressed_message(header, rgb, 95)
    assert jpeg.header == header and jpeg.format == 'jpeg'
    np.testing.assert_allclose(interior(to_rgb(jpeg)), interior(rgb), atol=6)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('kind, suffix', [('bayer_{}8; jpeg compressed ', '.jpg'),
                                          ('bayer_{}8; png compressed', '.png'),
                                          ('bayer_{}16; png compressed', '.png')])
def test_a_compressed_mosaic_is_what_the_raw_one_is(pattern, kind, suffix):
    bits = 16 if '16' in kind else 8
    colours = np.zeros((48, 64, 3), np.uint8)
    colours[:, :32], colours[:, 32:] = (200, 40, 90), (30, 160, 220)
    place = {'r': 0, 'g': 1, 'b': 2}
    mosaic = np.empty((48, 64), np.uint8)
    for corner, letter in enumerate(pattern):
        mosaic[corner // 2::2, corner % 2::2] = colours[corner // 2::2, corner % 2::2,
                                                        place[letter]]
    samples = mosaic.astype(np.uint16) * 257 if bits == 16 else mosaic
    blob = cv2.imencode(suffix, samples, [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
    found = to_rgb(CompressedImage(format=kind.format(pattern), data=blob.tobytes()))
    for columns in (slice(8, 24), slice(40, 56)):
        wanted = colours[24, columns.start]
        assert np.abs(found[8:40, columns].reshape(-1, 3).mean(0) - wanted).max() < 6


def test_a_mosaic_that_was_made_colours_before_it_was_compressed_is_left_alone():
    rgb = np.full((32, 32, 3), (200, 40, 90), np.uint8)
    blob = cv2.imencode('.png', rgb[..., ::-1])[1].tobytes()
    message = CompressedImage(format='bayer_rggb8; png compressed bgr8', data=blob)
    assert (to_rgb(message) == rgb).all()


@pytest.mark.parametrize('kind, data, says', [
    ('h264', b'\0\0\0\1gB\0', 'frame of a video'),
    ('bgr8; hevc', b'\0\0\0\1', 'frame of a video'),
    ('16UC1; compressedDepth png', b'\0' * 12 + b'\x89PNG\r\n\x1a\n', 'holds distances'),
    ('a\nb' * 1000, b'GIF89a', 'must be JPEG or PNG, but begins with 47 49 46')])
def test_what_is_no_jpeg_or_png_is_named_with_what_to_use_instead(kind, data, says):
    with pytest.raises(ImageError) as caught:
        to_rgb(CompressedImage(format=kind, data=data))
    text = str(caught.value)
    assert says in text and text.isprintable() and len(text) < 400


def test_junk_and_odd_markers_between_the_segments_of_a_jpeg_are_skipped():
    rgb = np.full((32, 40, 3), (10, 200, 90), np.uint8)
    blob = cv2.imencode('.jpg', rgb[..., ::-1])[1].tobytes()
    app0 = 2 + 2 + int.from_bytes(blob[4:6], 'big')
    for junk in (b'\0\0\0', b'junk', b'\xff\xff\xff', b'\xff\xe1\0\2', b'\xff\xee\0\3x'):
        odd = blob[:app0] + junk + blob[app0:]
        if cv2.imdecode(np.frombuffer(odd, np.uint8), 1) is None:
            continue  # then nobody else reads it either
        assert np.abs(to_rgb(CompressedImage(format='jpeg', data=odd)).astype(int) - rgb).max() < 9
    for cut in range(len(blob) - 2):
        with pytest.raises(ImageError):
            to_rgb(CompressedImage(format='jpeg', data=blob[:cut]))
