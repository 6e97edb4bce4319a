"""Boxes and labels are drawn on a copy, inside the frame, at every picture size."""

import tracemalloc

import cv2
import numpy as np
import pytest

from ssd_perception.core.detections import Detections, GroundTruth
from ssd_perception.viz.contact_sheet import contact_sheet
from ssd_perception.viz.drawing import class_colour, draw_detections, draw_truth, drawable
from ssd_perception.viz.tiles import TILE, small_frame, tile

NAMES = ('cone', 'inflatable_cube')
GREY = 90


def grey(width, height):
    return np.full((height, width, 3), GREY, np.uint8)


def changed(before, after):
    return np.abs(before.astype(int) - after).max(-1) > 0


def test_nothing_found_is_an_equal_copy():
    image = grey(64, 48)
    drawn = draw_detections(image, Detections.empty(), NAMES)
    assert np.array_equal(drawn, image)
    assert not np.shares_memory(drawn, image)


def test_read_only_and_strided_images_are_fine():
    image = grey(128, 96)[::2, ::-2]
    image.setflags(write=False)
    drawn = draw_detections(image, Detections([[5, 5, 40, 40]], [0.9], [0]), NAMES)
    assert (image == GREY).all()
    assert changed(image, drawn).any()


def test_box_is_drawn_on_its_own_pixels():
    drawn = draw_detections(grey(200, 200), Detections([[50, 80, 120, 150]], [0.9], [1]), NAMES)
    rows, columns = np.nonzero((drawn == class_colour(1)).all(-1)[80:])
    assert (columns.min(), columns.max()) == (50, 119)
    assert rows.max() + 80 == 149


def test_what_does_not_count_is_dashed_and_has_a_dark_label():
    weak = Detections([[50, 80, 120, 150]], [0.3], [1])
    drawn = draw_detections(grey(200, 200), Detections.empty(), NAMES, weak=weak)
    whole = draw_detections(grey(200, 200), weak, NAMES)
    edge = (slice(85, 150), 50)
    share = (drawn[edge] == class_colour(1)).all(-1).mean()
    assert 0.2 < share < 0.8 and (whole[edge] == class_colour(1)).all()
    dark = tuple(value // 4 for value in class_colour(1))
    label = (drawn[:80] == dark).all(-1)
    assert label.sum() > 500 and not (whole == dark).all(-1).any()


@pytest.mark.parametrize('box', [
    (0, 0, 60, 50), (600, 0, 640, 40), (0, 450, 40, 480), (610, 440, 640, 480),
    (0, 0, 640, 480), (639, 479, 640, 480), (300, 2, 330, 6),
])
def test_label_lies_inside_the_frame(box):
    """Drawn in the middle of a larger picture and in the corner: the same amount of ink."""
    image = grey(640, 480)
    framed = draw_detections(image, Detections([box], [0.93], [1]), NAMES)
    free = grey(640, 480)
    shifted = draw_detections(free, Detections([(300, 200, 310, 210)], [0.93], [1]), NAMES)
    black = (framed < 20).all(-1)
    black_free = (shifted < 20).all(-1)
    # Every black pixel belongs to the label's text, so none of it was cut off.
    assert black.sum() == pytest.approx(black_free.sum(), rel=0.02)


@pytest.mark.parametrize('size', [(1, 1), (8, 300), (300, 8), (64, 48), (1921, 1081)])
def test_any_size_of_picture(size):
    width, height = size
    drawn = draw_detections(grey(width, height),
                            Detections([[0, 0, width, height]], [1.0], [0]), NAMES,
                            truth=GroundTruth(np.array([[0, 0, width / 2, height]]),
                                              np.array([0])))
    assert drawn.shape == (height, width, 3)


def test_thickness_follows_the_size():
    def line(width, height):
        box = Detections([[width * 0.3, height * 0.4, width * 0.9, height * 0.9]], [0.5], [0])
        drawn = draw_detections(grey(width, height), box, NAMES)
        return changed(grey(width, height), drawn)[int(height * 0.8), :width // 2].sum()
    assert line(320, 240) < line(960, 720) < line(1920, 1080)


def test_best_score_is_on_top():
    both = Detections([[20, 60, 90, 130], [20, 60, 90, 130]], [0.9, 0.4], [1, 0])
    drawn = draw_detections(grey(200, 200), both, NAMES)
    assert tuple(drawn[129, 60]) == class_colour(1)


def test_truth_is_dashed():
    truth = GroundTruth(np.array([[50, 50, 150, 150]]), np.array([0]))
    drawn = draw_detections(grey(200, 200), Detections.empty(), NAMES, truth)
    edge = drawn[50, 50:150].astype(int)
    assert (edge == 255).all(-1).any() and (edge == 40).all(-1).any()
    assert not changed(grey(200, 200), drawn)[60:140, 60:140].any()


def test_label_without_name_is_its_number():
    draw_detections(grey(100, 100), Detections([[10, 40, 60, 90]], [0.5], [7]), NAMES)


def test_colours_are_stable_and_different():
    colours = [class_colour(label) for label in range(20)]
    assert colours == [class_colour(label) for label in range(20)]
    assert len(set(colours)) == 20


@pytest.mark.parametrize('where', [(300, 200), (0, 0), (560, 0), (0, 440), (560, 440)])
def test_labels_of_a_heap_do_not_cover_each_other(where):
    """Two boxes in nearly the same place show as many pixels of ink as two apart."""
    x, y = where
    box, near = (x, y, x + 80, y + 40), (min(x + 4, 561), min(y + 3, 441), x + 80, y + 40)
    both = draw_detections(grey(640, 480), Detections([box, near], [0.9, 0.8], [0, 0]), NAMES)
    ink = [(draw_detections(grey(640, 480), Detections([b], [s], [0]), NAMES) < 20).all(-1).sum()
           for b, s in ((box, 0.9), (near, 0.8))]
    assert (both < 20).all(-1).sum() == pytest.approx(sum(ink), rel=0.02)


def test_an_id_is_part_of_the_label():
    box = [[20, 60, 120, 150]]
    plain, tracked = (draw_detections(grey(200, 200), Detections(box, [0.9], [0], ids), NAMES)
                      for ids in (None, [12]))
    assert changed(grey(200, 200), tracked).sum() > changed(grey(200, 200), plain).sum()


@pytest.mark.parametrize('name, shown', [
    ('cone', 'cone'), ('Kegel groß', 'Kegel gross'), ('cône', 'cone'), ('łódź', 'lodz'),
    ('锥', 'class 3'), ('конус', 'class 3')])
def test_a_name_that_opencv_4_cannot_draw_is_readable_all_the_same(name, shown):
    assert drawable(name, 3, has_unicode=False) == shown
    assert drawable(name, 3, has_unicode=True) == name


def test_names_that_are_not_text_are_escaped_before_opencv_gets_them(monkeypatch):
    """OpenCV ends the process for a surrogate, as in the name of a file that is not UTF-8."""
    texts = []
    monkeypatch.setattr(cv2, 'getTextSize', lambda text, *_: texts.append(text) or ((9, 9), 3))
    monkeypatch.setattr(cv2, 'putText', lambda image, text, *_: texts.append(text))
    draw_detections(grey(99, 99), Detections([[1, 1, 50, 50]], [0.9], [0]), ['a\udcff\x1b[2J'])
    draw_truth(grey(99, 99), GroundTruth(np.array([[1, 1, 50, 50]]), np.array([0])), ['\udcff'])
    contact_sheet([grey(99, 99)], ['\udcff\n.jpg'])
    assert len(texts) >= 5 and all(text.isprintable() for text in texts)


def test_an_image_of_one_pixel_by_thousands_fills_no_gigabytes():
    image, box = np.zeros((16_384, 1, 3), np.uint8), [0, 0, 1, 16_384]
    found, truth = Detections([box], [0.9], [0]), GroundTruth(np.array([box]), np.array([0]))
    tracemalloc.start()
    made = [contact_sheet([image], ['x']), small_frame(image, found, found, ['x']),
            tile(image, found.xyxy[0], found, truth, ['x'])]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3e7 and made[2].shape == (TILE, TILE, 3) and made[2].std() > 5
