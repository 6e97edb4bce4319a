"""Reading VOC folders, mosaic and augmentation: boxes stay on their objects."""

import cv2
import numpy as np
import pytest
import torch

from ssd_perception.core.errors import DataError
from ssd_perception.data.augment import Augmentation, overlap_crop
from ssd_perception.data.mosaic import canvas_hw, mosaic
from ssd_perception.data.sample import TrainingItem, class_names, labels
from ssd_perception.data.voc import read_voc
from ssd_perception.imaging.files import ImageCache, image_size, read_image

PARTS = dict(aspect=1.35, flip=0.5, zoom_out=0.3, crop=0.6, photometric=0.8, camera=0.3,
             recolour_empty=0.0, recolour_objects=0.0,
             padding_value=127)


def write_voc(root, objects='', picture=True, name='a'):
    import cv2
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / 'ImageSets/Main/train.txt').write_text(f'{name}\n')
    (root / f'Annotations/{name}.xml').write_text(f'<annotation>{objects}</annotation>')
    if picture:
        cv2.imwrite(str(root / f'JPEGImages/{name}.jpg'), np.full((40, 60, 3), 90, np.uint8))
    return root


def item(box, name='cone', difficult=0):
    sides = ''.join(f'<{k}>{v}</{k}>' for k, v in zip(('xmin', 'ymin', 'xmax', 'ymax'), box))
    return (f'<object><name>{name}</name><difficult>{difficult}</difficult>'
            f'<bndbox>{sides}</bndbox></object>')


def test_a_picture_without_objects_is_a_negative(tmp_path):
    sample, = read_voc(write_voc(tmp_path), 'train')
    assert sample.xyxy.shape == (0, 4) and sample.names == ()


def test_edges_are_kept_as_they_are_and_original_voc_is_shifted(tmp_path):
    write_voc(tmp_path, item((1, 2.25, 10.5, 20)) + item((5, 5, 9, 9), 'cube', 1))
    sample, = read_voc(tmp_path, 'train')
    np.testing.assert_allclose(sample.xyxy, [[1, 2.25, 10.5, 20], [5, 5, 9, 9]])
    assert sample.difficult.tolist() == [False, True]
    assert class_names([sample]) == ('cone', 'cube')
    assert labels(sample, ('cube', 'cone')).tolist() == [1, 0]
    original, = read_voc(tmp_path, 'train', one_based=True)
    # The whole pixels 5..9, counted from 1, are the edges 4 to 9 counted from 0.
    np.testing.assert_allclose(original.xyxy[1], [4, 4, 9, 9])


@pytest.mark.parametrize('objects, message', [
    ('<object><name>cone</name></object>', 'lacks its name or one of'),
    (item((5, 5, 5, 9)), 'no area'), (item((5, 5, 'nan', 9)), 'no area'),
    ('<object>', 'cannot be read')])
def test_a_bad_annotation_is_named(tmp_path, objects, message):
    write_voc(tmp_path, objects)
    with pytest.raises(DataError, match=message) as error:
        read_voc(tmp_path, 'train')
    assert 'a.xml' in str(error.value)


def test_missing_things_are_named(tmp_path):
    write_voc(tmp_path, item((1, 1, 5, 5)), picture=False)
    with pytest.raises(DataError, match='splits there: train'):
        read_voc(tmp_path, 'val')
    with pytest.raises(DataError, match='No image for "a"'):
        read_voc(tmp_path, 'train')


def test_an_unknown_class_is_named(tmp_path):
    sample, = read_voc(write_voc(tmp_path, item((1, 1, 5, 5), 'dog')), 'train')
    with pytest.raises(DataError, match='class "dog" is not one of cone'):
        labels(sample, ('cone',))


@pytest.mark.parametrize('content', [b'', b'not a picture', b'\xff\xd8\xff\xe0' + b'0' * 50])
def test_a_broken_picture_is_named(tmp_path, content):
    path = tmp_path / 'broken.jpg'
    path.write_bytes(content)
    with pytest.raises(DataError, match='broken.jpg is not an image'):
        read_image(path)


def test_the_cache_keeps_its_budget_and_tells_the_scale(tmp_path):
    write_voc(tmp_path)
    path = tmp_path / 'JPEGImages/a.jpg'
    cache = ImageCache(longest_side=30, max_bytes=20 * 30 * 3)
    image, scale_x, scale_y = cache.read(path)
    assert image.shape == (20, 30, 3) and (scale_x, scale_y) == (0.5, 0.5)
    assert cache.read(path)[0] is image
    assert ImageCache(30, 0).read(path)[0] is not ImageCache(30, 0).read(path)[0]


def marked(side=200, box=(60, 80, 120, 160)):
    """A black picture with one white box, so that pixels can prove where the box went."""
    image = np.zeros((side, side, 3), np.uint8)
    image[box[1]:box[3], box[0]:box[2]] = 255
    return TrainingItem(image, np.array([box], np.float32), np.array([1]))


def white_inside(sample):
    """Share of white pixels inside each box."""
    shares = []
    for x0, y0, x1, y1 in np.round(sample.xyxy).astype(int):
        shares.append(float((sample.image[y0:y1, x0:x1] > 128).mean()))
    return shares


def test_a_tiff_of_32_bits_is_refused_and_one_of_16_is_read(tmp_path):
    image = np.linspace(0, 1, 600).reshape(20, 30)
    for name, pixels in (('float.tif', image.astype(np.float32)),
                         ('wide.tif', (image * 65535).astype(np.uint16))):
        (tmp_path / name).write_bytes(cv2.imencode('.tif', pixels)[1].tobytes())
    for read in (read_image, image_size):
        with pytest.raises(DataError, match='float.tif holds values of 32 bits or signed ones'):
            read(tmp_path / 'float.tif')
    assert read_image(tmp_path / 'wide.tif').max() == 255


@pytest.mark.parametrize('seed', range(20))
def test_mosaic_boxes_stay_on_their_objects(seed):
    rng = np.random.default_rng(seed)
    tiles = []
    for index in range(4):
        height, width = rng.integers(40, 900, 2)
        x, y = (np.sort(rng.permutation(side + 1)[:2]) for side in (width, height))
        image = np.zeros((height, width, 3), np.uint8)
        image[y[0]:y[1], x[0]:x[1]] = 255
        tiles.append(TrainingItem(image, np.float32([[x[0], y[0], x[1], y[1]]]),
                                  np.array([index])))
    height, width = hw = [(320, 320), (110, 320), (320, 200)][seed % 3]
    image, boxes, labels = mosaic(tiles, hw, 0, np.random.default_rng(seed))
    assert image.shape == (*hw, 3) and (boxes >= 0).all()
    assert (boxes <= [width, height] * 2).all()
    # It draws the place where the four images meet first.
    centre = (np.random.default_rng(seed).uniform(0.3, 0.7, 2) * [width, height]).astype(int)
    for box, label in zip(boxes, labels):
        for axis, after in enumerate((label % 2, label // 2)):
            inside = [slice(centre[k], None) if a else slice(0, centre[k])
                      for k, a in enumerate((label % 2, label // 2))]
            white = image[inside[1], inside[0], 0].astype(float).sum(axis)
            edge = np.arange(len(white)) + 0.5 + (centre[axis] if after else 0)
            assert abs((white * edge).sum() / white.sum() - box[axis::2].mean()) < 0.5


@pytest.mark.parametrize('input_hw, hw', [
    ((320, 320), (320, 320)), ((240, 320), (320, 320)), ((320, 1600), (427, 1600)),
    ((512, 288), (512, 384))])
def test_a_mosaic_is_square_but_for_narrow_inputs(input_hw, hw):
    assert canvas_hw(input_hw) == hw


@pytest.mark.parametrize('height, width, least, greatest', [
    (300, 400, 0.5, 2), (100, 480, 1.2, 4.8), (480, 100, 1 / 4.8, 1 / 1.2)])
def test_parts_have_proportions_that_fit_the_image(height, width, least, greatest):
    image = TrainingItem(np.zeros((height, width, 3), np.uint8), np.zeros((0, 4), np.float32),
                         np.zeros(0, np.int64))
    parts = [overlap_crop(image, np.random.default_rng(seed)).image.shape for seed in range(100)]
    shares = [w / h for h, w, _ in parts if (h, w) != (height, width)]
    assert len(shares) > 60 and least <= min(shares) and max(shares) <= greatest
    assert max(shares) > greatest / 2


def test_a_mosaic_of_images_of_one_pixel_keeps_its_size():
    for height, width in ((1, 1), (1, 300), (300, 1), (2, 1)):
        tile = TrainingItem(np.full((height, width, 3), 9, np.uint8),
                            np.float32([[0, 0, width, height]]), np.array([1]))
        for seed in range(10):
            out = mosaic([tile] * 4, (64, 64), 127, np.random.default_rng(seed))
            assert out.image.shape == (64, 64, 3) and (out.xyxy <= 64).all()
            assert (out.image != 127).any()


@pytest.mark.parametrize('seed', range(20))
def test_augmented_boxes_stay_on_their_objects(seed):
    torch.manual_seed(seed)
    out = Augmentation(**{**PARTS, 'zoom_out': 0.5, 'crop': 0.9}).geometry(marked())
    height, width = out.image.shape[:2]
    assert (out.xyxy >= 0).all() and (out.xyxy <= [width, height] * 2).all()
    assert len(out.labels) == len(out.xyxy) and all(s > 0.85 for s in white_inside(out))


def test_pictures_without_objects_survive_everything():
    empty = TrainingItem(np.zeros((50, 70, 3), np.uint8), np.zeros((0, 4), np.float32),
                     np.zeros(0, np.int64))
    augmentation = Augmentation(**PARTS)
    for seed in range(10):
        torch.manual_seed(seed)
        out = augmentation.geometry(empty)
        assert len(out.xyxy) == 0
        assert augmentation.colour(out.image).shape == out.image.shape
    assert len(mosaic([empty] * 4, (64, 64), 127, np.random.default_rng(0)).xyxy) == 0
