"""Cut-outs are pasted where their boxes say, the same ones for the same random numbers."""

import json
import os

import cv2
import numpy as np
import pytest

from ssd_perception.core.errors import DataError
from ssd_perception.data.cutouts import read_cutout, read_cutouts
from ssd_perception.data.paste import Paster

NAMES = ('cone', 'cube')
NOTHING = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)


def write_cutout(path, colour=(0, 0, 255), triangle=False):
    """Write a BGR shape of 60 x 90 px with a transparent margin of 10."""
    image = np.zeros((110, 80, 4), np.uint8)
    corners = [[40, 10], [69, 99], [10, 99]] if triangle else [[10, 10], [69, 10], [69, 99],
                                                               [10, 99]]
    cv2.fillPoly(image, [np.array(corners)], (*colour, 255))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


@pytest.fixture
def folder(tmp_path):
    write_cutout(tmp_path / 'cone' / 'a.png', triangle=True)
    write_cutout(tmp_path / 'cube' / 'b.webp')
    write_cutout(tmp_path / 'none' / 'c.png', (255, 0, 255))
    return tmp_path


def paste(folder, seed, image=None, found=NOTHING, recolour=0.0):
    image = np.full((256, 320, 3), 120, np.uint8) if image is None else image
    skipped = []
    paster = Paster(read_cutouts(folder, NAMES), recolour, 2 ** 20)
    return paster(image, *found, np.random.default_rng(seed), skipped), skipped


def test_the_same_numbers_give_the_same_picture(folder):
    first, second = (paste(folder, 3, recolour=0.5)[0] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second))
    assert not np.array_equal(first.image, paste(folder, 4)[0].image)


def test_boxes_lie_inside_and_hold_what_was_pasted(folder):
    (folder / 'none' / 'c.png').unlink()
    background = np.full((256, 320, 3), 120, np.uint8)
    seen = unlabelled = labelled = 0
    for seed in range(40):
        (image, xyxy, labels), _ = paste(folder, seed, background)
        assert image.dtype == np.uint8 and image.shape == background.shape
        assert xyxy.dtype == np.float32 and labels.dtype == np.int64
        assert set(labels.tolist()) <= {0, 1}
        assert (xyxy >= 0).all() and (xyxy <= [320, 256, 320, 256]).all()
        # Red in, red out: brightness, cast and blur change, but not which channel is largest.
        red = image[..., 0].astype(int) - image[..., 1] > 25
        for x0, y0, x1, y1 in xyxy.astype(int):
            assert red[y0:y1, x0:x1].any()
        outside = red.copy()
        for x0, y0, x1, y1 in xyxy.astype(int):
            outside[max(0, y0 - 3):y1 + 3, max(0, x0 - 3):x1 + 3] = False
        seen += len(xyxy) > 0
        unlabelled, labelled = unlabelled + outside.sum(), labelled + (red & ~outside).sum()
    assert seen > 30 and unlabelled < 0.05 * labelled  # slivers at the edge and behind others


def test_a_box_is_tight_to_what_is_opaque(folder, monkeypatch):
    monkeypatch.setattr('ssd_perception.data.paste.MAX_OBJECTS', 1)
    for share in ('WITH_SHADOW', 'FALLEN', 'IN_A_ROW'):
        monkeypatch.setattr(f'ssd_perception.data.paste.{share}', 0.0)
    (folder / 'cone' / 'a.png').unlink()  # the tip of a cone is blurred away
    background = np.full((256, 320, 3), 120, np.uint8)
    compared = 0
    for seed in range(60):
        (image, xyxy, _), _ = paste(folder, seed, background)
        if len(xyxy) != 1:
            continue
        x, y, w, h = cv2.boundingRect((np.abs(image.astype(int) - 120).max(2) > 45).astype(
            np.uint8))
        if min(w, h) < 8:
            continue
        compared += 1
        assert np.abs(xyxy[0] - [x, y, x + w, y + h]).max() <= 3.5
    assert compared > 15


def test_a_row_is_of_one_kind_and_grows_smaller(folder, monkeypatch):
    monkeypatch.setattr('ssd_perception.data.paste.IN_A_ROW', 1.0)
    monkeypatch.setattr('ssd_perception.data.paste.MAX_OBJECTS', 1)
    paster = Paster(read_cutouts(folder, NAMES), 0.0, 2 ** 20)
    for seed in range(20):
        plan = paster._plan(256, 320, np.random.default_rng(seed))
        assert len({cutout.path for cutout, *_ in plan}) == 1 and len(plan) <= 10
        heights = [rows for _, rows, _, _ in plan]
        assert heights == sorted(heights, reverse=True)


def test_a_box_of_the_file_is_smaller_than_what_is_opaque(folder):
    (folder / 'boxes.json').write_text(json.dumps({'cube/b.webp': [10, 10, 70, 50]}))
    cube = next(c for c in read_cutouts(folder, NAMES) if c.label == 1)
    layers = read_cutout(cube)
    assert layers.shape[:2] == (90, 60)  # the margin is gone
    assert (layers[:40, :, 4] == 255).all() and not layers[40:, :, 4].any()


def test_look_alikes_get_no_box(folder):
    for part in ('cone', 'cube'):
        for path in (folder / part).iterdir():
            path.unlink()
    for seed in range(5):
        (image, xyxy, _), _ = paste(folder, seed)
        assert len(xyxy) == 0 and (image != 120).any()


def test_objects_of_the_picture_stay_labelled_and_seen(folder):
    image = np.full((256, 320, 3), 120, np.uint8)
    image[100:180, 100:180] = 0, 255, 0
    box = np.array([[100, 100, 180, 180]], np.float32), np.array([1])
    for seed in range(20):
        (pasted, xyxy, labels), _ = paste(folder, seed, image, box)
        assert np.array_equal(xyxy[0], box[0][0]) and labels[0] == 1
        inside = pasted[100:180, 100:180].astype(int)
        green = (inside[..., 1] - inside[..., 0] > 60).mean()
        assert green > 0.4
    assert (image[100:180, 100:180] == (0, 255, 0)).all()  # the one given is not drawn on


def test_recolouring_changes_hues_but_not_white(folder):
    write_cutout(folder / 'cone' / 'a.png', (255, 255, 255))
    (folder / 'cube' / 'b.webp').unlink()
    (folder / 'none' / 'c.png').unlink()
    (image, xyxy, _), _ = paste(folder, 1, recolour=1.0)
    assert len(xyxy) and np.ptp(image.astype(int), axis=2).max() <= 12
    write_cutout(folder / 'cone' / 'a.png')
    largest = set()
    for seed in range(25):
        (image, xyxy, _), _ = paste(folder, seed, recolour=1.0)
        change = np.abs(image.astype(int) - 120).max(2)
        largest.add(int(image[np.unravel_index(change.argmax(), change.shape)].argmax()))
    assert largest == {0, 1, 2}


@pytest.mark.parametrize('make, says', [
    (lambda p: None, 'holds no cut-outs'),
    (lambda p: write_cutout(p / 'dog' / 'a.png'), '"none"'),
    (lambda p: (p / 'boxes.json').write_text('[1]'), 'must be JSON'),
    (lambda p: (p / 'boxes.json').write_text('{"cone/a.png": [1, 2]}'), 'must be JSON')])
def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path, make, says):
    make(tmp_path)
    with pytest.raises(DataError) as error:
        read_cutouts(tmp_path, NAMES)
    assert says in str(error.value) and '\n' not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_no_folder_at_all_names_the_key():
    with pytest.raises(DataError, match='augmentation.paste.cutouts'):
        read_cutouts('', NAMES)


def test_a_file_without_transparency_is_skipped_and_named(folder):
    cv2.imwrite(str(folder / 'cone' / 'a.png'), np.zeros((9, 9, 3), np.uint8))
    (folder / 'cube' / 'b.webp').write_bytes(b'')
    (folder / 'none' / 'c.png').write_bytes(b'no image')
    (image, xyxy, _), skipped = paste(folder, 0)
    assert (image == 120).all() and not len(xyxy)
    assert skipped and all('alpha channel' in sentence for sentence in skipped)


def bomb(side):
    """Return a small PNG with alpha that claims side x side pixels."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack(
            '>I', zlib.crc32(kind + data))
    header = struct.pack('>IIBBBBB', side, side, 8, 6, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
            + chunk(b'IDAT', zlib.compress(bytes(10 ** 6))) + chunk(b'IEND', b''))


def test_a_cut_out_of_too_many_pixels_a_pipe_and_a_link_to_a_device_are_named(folder):
    (folder / 'cone' / 'bomb.png').write_bytes(bomb(30_000))
    os.mkfifo(folder / 'cone' / 'pipe.png')
    (folder / 'cone' / 'zero.png').symlink_to('/dev/zero')
    reasons = []
    for cutout in read_cutouts(folder, NAMES):
        try:
            read_cutout(cutout)
        except DataError as error:
            reasons.append(f'{error.file.name}: {error}')
    assert len(reasons) == 3
    assert 'claims more than' in reasons[0] and all(
        'no regular file' in reason for reason in reasons[1:])


@pytest.mark.parametrize('text', ['[' * 10 ** 5, '{"a": 1' + '0' * 5000 + '}', '{"a": [1e999]}',
                                  '{"a": [1, 2, 3, 1' + '0' * 400 + ']}', '7', 'null',
                                  '{"a": [1, 2, NaN, 4]}', '{"a": [1, 2, 1e999, 4]}'])
def test_boxes_of_cut_outs_that_make_no_sense_are_named(folder, text):
    (folder / 'boxes.json').write_text(text)
    with pytest.raises(DataError, match='boxes.json must be JSON of the form') as caught:
        read_cutouts(folder, NAMES)
    assert len(str(caught.value)) < 500
