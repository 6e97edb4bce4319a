"""Pictures and ground truth of a recording are paired by stamp."""

import numpy as np
import pytest
from recordings import IMAGE, TRUTH, header, picture, truth, types, write_recording

from ssd_perception.bags.frames import labelled_frames, to_rgb
from ssd_perception.bags.reader import BagError
from ssd_perception.bags.writer import BagWriter


def test_pairs_images_with_truth(tmp_path):
    frames = list(labelled_frames(write_recording(tmp_path / 'drive', frames=3), ('cube', 'cone')))
    assert len(frames) == 3
    image, xyxy, labels = frames[2]
    assert image.shape == (480, 640, 3) and image.dtype == np.uint8
    assert image[250, 150, 0] > 230 and image[250, 150, 2] < 30  # orange, so RGB
    assert xyxy.tolist() == [[110, 200, 210, 300]] and labels.tolist() == [1]


def test_truth_recorded_first_and_frames_without_truth(tmp_path):
    with BagWriter(tmp_path / 'drive') as bag:
        for index in (0, 1):
            bag.write(TRUTH, index, truth(index))
        for index in (2, 1, 0):
            rgb = picture(index)[..., ::-1]
            bag.write('/camera/image_raw', 10 - index, raw(rgb, 'rgb8', index))
    assert [f.xyxy[0, 0] for f in labelled_frames(tmp_path / 'drive', ('cone',))] == [105, 100]


def raw(pixels, encoding, index=0, padding=0):
    rows = pixels.reshape(len(pixels), -1)
    data = np.pad(rows, ((0, 0), (0, padding)))
    return types('sensor_msgs/msg/Image')(
        header=header(index), height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
        is_bigendian=0, step=data.shape[1], data=data.reshape(-1))


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'mono8'])
def test_raw_encodings(encoding, padding):
    rgb = picture(0)[..., ::-1]
    stored = {'rgb8': rgb, 'bgr8': rgb[..., ::-1], 'mono8': rgb[..., :1]}[encoding]
    expected = np.repeat(stored, 3, 2) if encoding == 'mono8' else rgb
    assert np.array_equal(to_rgb(raw(stored, encoding, padding=padding)), expected)


@pytest.mark.parametrize('make, reason', [
    (lambda: raw(picture(0), '32FC1'), '32FC1'),
    (lambda: types('sensor_msgs/msg/Image')(header=header(0), height=9, width=9, step=27,
                                            encoding='rgb8', is_bigendian=0,
                                            data=np.zeros(5, np.uint8)), 'got 5'),
    (lambda: types('sensor_msgs/msg/CompressedImage')(
        header=header(0), format='jpeg', data=np.zeros(9, np.uint8)), 'JPEG or PNG'),
    (lambda: types('sensor_msgs/msg/CompressedImage')(
        header=header(0), format='jpeg', data=np.zeros(0, np.uint8)), 'JPEG or PNG'),
])
def test_unreadable_pictures_are_named(make, reason):
    with pytest.raises(BagError, match=reason):
        to_rgb(make())


def test_unknown_class_and_choice_of_topics(tmp_path):
    path = write_recording(tmp_path / 'drive', frames=1)
    with pytest.raises(BagError, match='class "cone".*cube'):
        list(labelled_frames(path, ('cube',)))
    with pytest.raises(BagError, match='no topic /other'):
        list(labelled_frames(path, ('cone',), topic='/other'))
    with BagWriter(tmp_path / 'two') as bag:
        bag.write(IMAGE, 0, raw(picture(0), 'bgr8'))
        bag.write('/rear', 0, raw(picture(0), 'bgr8'))
    with pytest.raises(BagError, match='several'):
        list(labelled_frames(tmp_path / 'two', ('cone',)))
