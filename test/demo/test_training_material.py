"""The demo's modules that need no renderer; and the cut-outs, where Blender's bpy is installed."""

from __future__ import annotations

import colorsys
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # `demo` is not installed with the package

from demo import camera_effects, palette  # noqa: E402


@pytest.mark.parametrize('name', sorted(palette.RANGES))
def test_a_drawn_colour_lies_in_the_range_of_its_name(name):
    rng = np.random.default_rng(1)
    (hue_low, hue_high), saturations, values = palette.RANGES[name]
    for _ in range(50):
        red, green, blue = (c ** (1 / 2.2) for c in palette.drawn(rng, {name: 1.0}))
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        assert saturations[0] - 1e-6 <= saturation <= saturations[1] + 1e-6
        assert values[0] - 1e-6 <= value <= values[1] + 1e-6
        if hue_high - hue_low < 1:
            assert (hue - hue_low + 1e-6) % 1.0 <= hue_high - hue_low + 2e-6


def test_cones_have_many_colours_and_on_roads_few():
    for shares in (palette.CONE_SHARES, palette.ROAD_SHARES):
        assert sum(shares.values()) == pytest.approx(1)
    assert set(palette.ROAD_SHARES) < set(palette.CONE_SHARES)
    # Nothing that a cone's colour is may be a cone's alone.
    assert set(palette.CONE_SHARES) <= set(palette.OTHER_SHARES)


def test_fading_keeps_a_colour_possible():
    rng = np.random.default_rng(2)
    for _ in range(200):
        colour = palette.faded(rng, palette.cone_colour(rng))
        assert all(0 <= c <= 1 for c in colour)


def test_exposure_brings_a_flat_scene_to_grey_whatever_its_light():
    look = camera_effects.CameraLook(vignette=0.0, contrast=0.0, sharpening=0.0)
    means = []
    for light in (0.01, 1.0, 50.0):
        linear = np.full((48, 64, 3), light, np.float32)
        gain = camera_effects.exposure_gain(linear, look.grey)
        picture = camera_effects.develop(linear, look, gain, np.random.default_rng(3))
        assert picture.shape == (48, 64, 3) and picture.dtype == np.uint8
        means.append(picture.mean())
    grey = 255 * (1.055 * look.grey ** (1 / 2.4) - 0.055)
    assert means == pytest.approx([grey] * 3, abs=4)


def test_a_recording_holds_the_boxes_that_were_rendered(tmp_path):
    pytest.importorskip('rosbags')
    from demo import recording
    from ssd_perception.bags.reader import Bag
    boxes = [('cone', (1.5, 2.0, 30.5, 44.0), 4), ('cube', (100.0, 20.5, 300.5, 144.0), 2)]
    recording.write_recording(tmp_path / 'drive', [(b'\xff\xd8', boxes), (b'\xff\xd8', [])], 10,
                              (640, 480), 480.0)
    with Bag(tmp_path / 'drive') as bag:
        found = [record.message.detections for record in bag.records([recording.TRUTH_TOPIC])]
    assert [len(detections) for detections in found] == [2, 0]
    for (label, (x0, y0, x1, y1), number), detection in zip(boxes, found[0]):
        assert detection.results[0].hypothesis.class_id == label
        assert detection.id == str(number)
        centre, box = detection.bbox.center.position, detection.bbox
        assert (centre.x, centre.y) == ((x0 + x1) / 2, (y0 + y1) / 2)
        assert (box.size_x, box.size_y) == (x1 - x0, y1 - y0)


def test_annotations_of_rendered_boxes_keep_half_pixels(tmp_path):
    from ssd_perception.data.voc import read_voc
    from ssd_perception.data.writers import LabelledImage, voc_annotation
    for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / 'JPEGImages' / 'a.jpg').touch()
    (tmp_path / 'ImageSets' / 'Main' / 'train.txt').write_text('a\n')
    edges = np.array([[87.0, 386.5, 233.5, 480.0]])
    for whole, expected in ((False, edges), (True, np.rint(edges))):
        image = LabelledImage('a', '.jpg', 640, 480, edges, ('cube',), (1.0,))
        (tmp_path / 'Annotations' / 'a.xml').write_bytes(voc_annotation(image, 'set', whole))
        assert read_voc(tmp_path, 'train')[0].xyxy == pytest.approx(expected)


class TestCutouts:
    """Rendered with one light path per pixel, some seconds each."""

    @pytest.fixture(autouse=True)
    def _renderer(self):
        pytest.importorskip('bpy', reason='the renderer has an environment of its own, see '
                            'demo/README.md')

    def test_classes_are_in_proportion_from_the_first_cutouts_on(self):
        from demo.render_cutouts import interleaved
        jobs = interleaved({'cone': 40, 'cube': 20, 'none': 20})
        assert len(set(jobs)) == 80
        assert sorted(label for label, _ in jobs[:8]) == ['cone'] * 4 + ['cube'] * 2 + ['none'] * 2

    @pytest.mark.parametrize('label', ['cone', 'cube', 'none'])
    def test_the_box_is_what_is_opaque(self, label):
        from demo.render_cutouts import render_cutout
        for number in range(6):
            rgba, box = render_cutout(label, number, 1)
            rows, columns = np.nonzero(rgba[..., 3] > 127)
            height, width = rgba.shape[:2]
            assert 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
            if max(width - (box[2] - box[0]), height - (box[3] - box[1])) > 5:
                continue  # a soft shadow is opaque in part
            edges = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
            assert np.abs(np.subtract(edges, box)).max() <= 3

    def test_a_number_is_one_object(self):
        from demo.render_cutouts import render_cutout
        first, again, other = (render_cutout('cone', number, 1) for number in (3, 3, 4))
        assert first.xyxy == again.xyxy != other.xyxy
        # The denoiser adds in no fixed order, hence not bit for bit.
        assert np.abs(first.rgba.astype(int) - again.rgba).mean() < 0.5
