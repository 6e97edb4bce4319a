"""Pictures are decoded strictly and in bounds, also when a decoder crashes."""

import io
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageOps
from small_sets import scene

from ssd_perception.core.errors import DataError
from ssd_perception.data.duplicates import perceptual_hash_of
from ssd_perception.data.sample import make_sample
from ssd_perception.datacheck.checks import check_image
from ssd_perception.datacheck.inspection import ImageFacts, inspect_image, inspect_images
from ssd_perception.imaging.files import image_size, read_image


def jpeg(image=None, **options) -> bytes:
    data = io.BytesIO()
    Image.fromarray(scene(1) if image is None else image).save(data, 'JPEG', **options)
    return data.getvalue()


def bomb(width, height) -> bytes:
    """Return a small PNG that claims a size."""
    data = b'\x89PNG\r\n\x1a\n'
    for kind, content in ((b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)),
                          (b'IDAT', zlib.compress(bytes(1000))), (b'IEND', b'')):
        data += struct.pack('>I', len(content)) + kind + content
        data += struct.pack('>I', zlib.crc32(kind + content))
    return data


@pytest.mark.parametrize('content, kind, says', [
    (b'', 'unreadable picture', 'not an image'),
    (b'no picture', 'unreadable picture', 'not an image'),
    (jpeg()[:-300], 'truncated picture', 'truncated'),
    (cv2.imencode('.png', scene(1))[1].tobytes()[:-2000], 'unreadable picture', 'not an image'),
    (bomb(50_000, 50_000), 'unreadable picture', 'more than 100000000 pixels'),
    (bomb(12_000, 10_000), 'unreadable picture', 'more than 100000000 pixels')], ids=range(6))
def test_bad_pictures_are_refused_by_name(tmp_path, content, kind, says):
    path = tmp_path / 'bad.jpg'
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as error:
        read_image(path)
    assert error.value.problem == kind and 'bad.jpg' in str(error.value)
    facts = inspect_image(path)
    assert facts.hw is None and facts.perceptual is None
    assert facts.failure[0] in (kind, 'truncated picture')  # Pillow knows more of a PNG


def test_a_missing_picture_is_a_failure_too(tmp_path):
    assert inspect_image(tmp_path / 'gone.jpg').failure[0] == 'unreadable picture'


@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA', 'P', 'CMYK', 'I;16', '1'])
def test_every_kind_of_picture_is_inspected(tmp_path, mode):
    image = Image.fromarray(scene(3))
    path = tmp_path / ('a.jpg' if mode == 'CMYK' else 'a.png')
    (Image.fromarray(np.zeros((72, 96), np.uint16)) if mode == 'I;16'
     else image.convert(mode)).save(path)
    facts = inspect_image(path)
    assert facts.failure is None and facts.hw == (72, 96) and facts.orientation == 1
    assert len(facts.digest) == 40 and facts.perceptual.shape == (8,)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_an_image_is_turned_as_exif_says(tmp_path, orientation):
    exif, path = Image.Exif(), tmp_path / 'a.jpg'
    exif[0x0112] = orientation
    path.write_bytes(jpeg(exif=exif, quality=95))
    shown = ImageOps.exif_transpose(Image.open(path)).convert('RGB')
    image = read_image(path)
    assert image.shape[:2] == shown.size[::-1] == image_size(path)
    assert np.abs(image.astype(int) - np.asarray(shown)).max() <= 8  # two decoders
    facts = inspect_image(path)
    assert facts.orientation == orientation and facts.hw == image.shape[:2]


def test_an_image_is_not_turned_where_its_annotation_states_the_stored_size(tmp_path):
    exif, path = Image.Exif(), tmp_path / 'a.jpg'
    exif[0x0112] = 6
    path.write_bytes(jpeg(exif=exif))
    sample = make_sample(path, [[1, 2, 30, 20]], ['a'], [False], path, (72, 96), None)
    facts = inspect_image(path)
    assert read_image(path).shape == (96, 72, 3) and sample.image().shape == (72, 96, 3)
    assert [problem.kind for problem in check_image(sample, facts, 'train')] == ['EXIF rotation']
    other = replace(sample, stated_hw=(96, 96))
    assert 'size differs' in {problem.kind for problem in check_image(other, facts, 'train')}


def test_similar_pictures_have_similar_hashes(tmp_path):
    def bits(image):
        (tmp_path / 'a.jpg').write_bytes(jpeg(image))
        return np.unpackbits(inspect_image(tmp_path / 'a.jpg').perceptual)
    first = bits(scene(5, 960, 720))
    brighter = cv2.convertScaleAbs(cv2.resize(scene(5, 960, 720), (320, 240)), alpha=0.8, beta=20)
    assert (bits(brighter) != first).sum() <= 6
    assert (bits(scene(6, 960, 720)) != first).sum() >= 16


def crash_on_bad(path: Path) -> ImageFacts:
    """Stand for a decoder with a defect."""
    if path.name.startswith('bad'):
        os._exit(11)
    return ImageFacts((1, 1), digest=path.name)


@pytest.mark.parametrize('names', [[], ['a'], ['bad1'], ['a', 'bad1', 'b', 'c', 'bad2', 'd']])
def test_a_crash_costs_only_the_picture_that_caused_it(names):
    paths = [Path(name) for name in names]
    found = dict(inspect_images(paths, 2, crash_on_bad))
    assert set(found) == set(paths)
    for path, facts in found.items():
        if path.name.startswith('bad'):
            assert facts.failure == ('unreadable picture', 'it makes the decoder crash')
        else:
            assert facts.digest == path.name


def test_an_image_that_is_an_eps_runs_no_program(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(EpsImagePlugin, 'Ghostscript', lambda *given, **named: ran.append(given))
    Image.new('RGB', (40, 30)).save(tmp_path / 'a.jpg', 'EPS')
    assert inspect_image(tmp_path / 'a.jpg').failure[0] == 'unreadable picture'
    assert perceptual_hash_of(tmp_path / 'a.jpg') is None
    assert not ran
