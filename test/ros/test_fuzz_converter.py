"""Whatever bytes a message holds, the converter returns a picture or raises one sentence."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('sensor_msgs')
hypothesis = pytest.importorskip('hypothesis')
from fuzz import Random  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from ssd_perception.imaging.encodings import ENCODINGS, ImageError, to_rgb  # noqa: E402

SEEDS = st.integers(0, 2 ** 32)
QUICK = settings(max_examples=200, deadline=None)
LARGE = settings(max_examples=20_000, deadline=None)


def converted(message) -> np.ndarray | None:
    """Return the picture, or None when it was refused properly."""
    try:
        rgb = to_rgb(message)
    except ImageError as error:
        text = str(error)
        assert text.endswith('.') and '\n' not in text and len(text) < 500, text
        return None
    assert rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size
    if isinstance(message, Image):
        assert rgb.shape[:2] == (message.height, message.width)
    rgb.sum()  # every byte can be read
    return rgb


def of_images(seed):
    converted(Random(seed).image())


def of_blobs(seed):
    converted(Random(seed).blob())


@QUICK
@given(SEEDS)
def test_random_images(seed):
    of_images(seed)


@QUICK
@given(SEEDS)
def test_random_blobs(seed):
    of_blobs(seed)


@pytest.mark.slow
@LARGE
@given(SEEDS)
def test_many_random_images(seed):
    of_images(seed)


@pytest.mark.slow
@LARGE
@given(SEEDS)
def test_many_random_blobs(seed):
    of_blobs(seed)


@QUICK
@given(st.binary(max_size=300), st.sampled_from([b'', b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n']))
def test_arbitrary_bytes(data, head):
    converted(CompressedImage(data=head + data))


@QUICK
@given(st.sampled_from(sorted(ENCODINGS)), st.integers(3, 40), st.integers(3, 40),
       st.integers(0, 9), st.booleans(), SEEDS)
def test_a_right_image_is_never_refused_and_its_padding_never_seen(encoding, width, height,
                                                                  padding, big, seed):
    layout, rng = ENCODINGS[encoding], np.random.default_rng(seed)
    width, height = width + width % 2, height + height % 2
    row, rows = width * layout.channels * np.dtype(layout.dtype).itemsize, int(height
                                                                               * layout.rows)
    samples = rng.integers(0, 256, (rows, row), np.uint8)

    def message(pad, endian):
        data = samples
        if endian and layout.dtype is np.uint16:
            data = samples.reshape(rows, -1, 2)[..., ::-1].reshape(rows, row)
        data = np.pad(data, ((0, 0), (0, pad)), constant_values=rng.integers(256))
        return Image(width=width, height=height, encoding=encoding, step=row + pad,
                     is_bigendian=int(endian), data=data.tobytes())
    plain = converted(message(0, False))
    assert plain is not None
    np.testing.assert_array_equal(converted(message(padding, big)), plain)


def test_the_random_messages_are_both_right_and_wrong():
    """Else the tests above would say little."""
    for draw in (Random.image, Random.blob):
        random = Random(0)
        right = sum(converted(draw(random)) is not None for _ in range(400))
        assert 100 < right < 350, (draw.__name__, right)
