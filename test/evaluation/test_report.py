"""An evaluation's folder: one page that needs nothing else, and every figure as JSON."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('matplotlib')

from ssd_perception.core.detections import (
    Detections,  # noqa: E402
    GroundTruth,  # noqa: E402
)
from ssd_perception.core.result_folder import result_folder  # noqa: E402
from ssd_perception.data.sample import Sample  # noqa: E402
from ssd_perception.evaluation import plots  # noqa: E402
from ssd_perception.evaluation.accuracy import Measurement  # noqa: E402
from ssd_perception.evaluation.analysis import Evaluation, analyse  # noqa: E402
from ssd_perception.evaluation.latency import Conditions, Latency, StageTime  # noqa: E402
from ssd_perception.evaluation.report import MARK, MAX_TILES, write_report  # noqa: E402
from ssd_perception.viz import plot_style  # noqa: E402
from ssd_perception.viz.contact_sheet import fit  # noqa: E402
from ssd_perception.viz.tiles import TILE, tile, window  # noqa: E402

HEADINGS = ['Measured', 'Classes', 'Sizes', 'Precision over recall', 'Score threshold',
            'Calibration', 'Confusion', 'Worst false positives', 'Largest misses',
            'Random images', 'Latency']
OPEN = {'meta', 'img', 'br'}  # elements of HTML that are never closed


class Page(HTMLParser):
    """What a page consists of; raises when an element is closed that was not opened last."""

    def __init__(self, text):
        super().__init__()
        self.sources, self.headings, self.tags, self._stack = [], [], [], []
        self.feed(text)
        self.close()
        assert self._stack == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        given = dict(attributes)
        self.sources += [given[key] for key in ('src', 'href') if key in given]
        assert not any(key.startswith('on') for key in given)
        if tag not in OPEN:
            self._stack.append(tag)

    def handle_endtag(self, tag):
        assert self._stack.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in OPEN:
            self._stack.pop()

    def handle_data(self, data):
        if self._stack and self._stack[-1] == 'h2':
            self.headings.append(data)


def pictures(folder, count, sizes=((64, 48),)):
    samples = []
    for i in range(count):
        width, height = sizes[i % len(sizes)]
        path = folder / f'picture {i} <&>.png'
        cv2.imwrite(str(path), np.full((height, width, 3), 60 + i % 100, np.uint8))
        samples.append(Sample(path, np.zeros((0, 4), np.float32), (), np.zeros(0, bool)))
    return samples


def written(tmp_path, found, truth, names=('cone', '<b>cube</b>'), count=3, sizes=((64, 48),),
            stages=None, **more):
    source = tmp_path / 'source'
    source.mkdir()
    samples = pictures(source, count, sizes)
    measured = Measurement(samples, [truth] * count, [found] * count, {}, [])
    analysis = analyse(measured.detections, measured.truths, names, 0.5)
    evaluation = Evaluation(analysis, Latency(stages or {}, CONDITIONS),
                            **{'skipped': [], 'measured': {}, **more})
    with result_folder(tmp_path / 'out', MARK) as folder:
        write_report(folder, measured, evaluation, 'a <title> & more')
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == ['report.html', 'report.json']
    assert json.loads((tmp_path / 'out' / MARK).read_text()) == evaluation.to_json()
    return (tmp_path / 'out' / 'report.html').read_text()


NOTHING = Detections.empty()
NO_TRUTH = GroundTruth(np.zeros((0, 4)), np.zeros(0, int))
SOME = Detections([[5, 5, 25, 25], [30, 5, 50, 25], [5, 30, 25, 45]], [0.9, 0.8, 0.7], [0, 1, 1])
OBJECTS = GroundTruth(np.array([[5.0, 5, 25, 25], [30, 5, 50, 25], [40, 30, 60, 45]]),
                      np.array([0, 0, 1]), np.array([False, False, False]))
CONDITIONS = Conditions('Some CPU', 4, 'cpu', 'torch', 'fp32', 3)
STAGES = {'network': StageTime(30.0, 40.0), 'total': StageTime(33.4, 44.4)}


@pytest.mark.parametrize('found, truth', [
    (NOTHING, NO_TRUTH), (NOTHING, OBJECTS), (SOME, NO_TRUTH), (SOME, OBJECTS)],
    ids=['nothing', 'only truth', 'only detections', 'both'])
def test_every_page_is_whole_and_needs_nothing_else(tmp_path, found, truth):
    text = written(tmp_path, found, truth)
    page = Page(text)
    assert page.headings == HEADINGS
    assert 'a &lt;title&gt; &amp; more' in text and '<b>cube</b>' not in text
    assert all(source.startswith(('data:image/jpeg', '#')) for source in page.sources)
    assert not {'script', 'link', 'iframe', 'object'} & set(page.tags)
    assert 'http' not in re.sub(r'src="data:[^"]*"', '', text) and '@import' not in text


def test_a_class_named_as_a_formula_stays_a_name(tmp_path):
    text = written(tmp_path, SOME, OBJECTS, names=('$\\bad$', 'US$'))
    svgs = re.findall(r'<svg.*?</svg>', text, re.S)
    assert sum('$\\bad$' in svg for svg in svgs) >= 2  # precision over recall, confusion


def test_ids_are_unique_and_what_is_referred_to_exists(tmp_path):
    text = written(tmp_path, SOME, OBJECTS)
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(set(ids)) > 10
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', text)) == set(ids)


def test_what_the_page_says(tmp_path):
    text = written(tmp_path, SOME, OBJECTS, stages=STAGES, skipped=['<x>.jpg'],
                   measured={'weights': 'w.safetensors', 'split': 'val'})
    assert 'w.safetensors' in text and '&lt;x&gt;.jpg' in text
    assert '33 ms' in text and 'Some CPU, 4 cores' in text and 'threads: 3' in text
    # in each of 3 pictures: a cone found, one taken for a cube, a cube missed, one made up
    assert 'All 6; 3 wrong class, 3 background' in text and 'All 6; a score' in text
    assert text.count('<figure>') == 12
    assert 'cone, 20 x 20 px: not seen' in text
    assert 'picture 0 &lt;&amp;&gt;.png' in text


def test_many_failures_become_a_choice(tmp_path):
    text = written(tmp_path, SOME, OBJECTS, count=20)
    assert text.count('<figure>') == 2 * MAX_TILES and f'{MAX_TILES} of 40' in text


def test_pictures_of_all_shapes(tmp_path):
    assert written(tmp_path, SOME, OBJECTS, count=5,
                   sizes=((64, 48), (48, 200), (600, 50), (60, 60), (1, 1)))


def test_without_objects_there_are_no_curves_and_with_many_classes_no_matrix():
    names = [f'class {i}' for i in range(60)]
    text = plots.precision_recall_plot(analyse([SOME], [OBJECTS], tuple(names), 0.5).classes)
    assert 'class 0' in text and 'class 1' in text and 'class 2' not in text
    empty = analyse([SOME], [NO_TRUTH], tuple(names), 0.5)
    assert plots.precision_recall_plot(empty.classes) == ''


def test_colours_of_lines_show_on_white_and_on_black():
    for label in range(50):
        red, green, blue = plots.line_colour(label)
        assert 0.2 < 0.299 * red + 0.587 * green + 0.114 * blue < 0.7


@pytest.mark.parametrize('box, shape, expected', [
    ((40, 40, 60, 60), (200, 200), (18, 18, 64)),  # small: the least side
    ((50, 50, 150, 150), (400, 400), (0, 0, 250)),  # pushed into the picture
    ((250, 250, 350, 350), (400, 400), (150, 150, 250)),
    ((0, 0, 10, 10), (400, 400), (0, 0, 64)),
    ((0, 0, 300, 100), (100, 300), (0, -100, 300)),  # the whole of a wide picture, centred
    ((0, 0, 10, 10), (20, 20), (0, 0, 20)),
    ((0, 0, 1, 1), (1, 1), (0, 0, 1)),
])
def test_window_around_a_box(box, shape, expected):
    assert window(np.array(box, float), shape) == expected


def test_a_tile_shows_its_box_in_the_right_place():
    image = np.zeros((400, 400, 3), np.uint8)
    image[100:140, 200:240] = 255
    box = np.array([200.0, 100, 240, 140])
    shown = tile(image, box, NOTHING, NO_TRUTH, ['x'])
    assert shown.shape == (TILE, TILE, 3)
    rows, columns = np.nonzero(shown[..., 0] > 127)
    assert [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1] == pytest.approx(
        [0.3 * TILE, 0.7 * TILE, 0.3 * TILE, 0.7 * TILE], abs=2)
    drawn = tile(image, box, Detections([box], [0.9], [0]), NO_TRUTH, ['x'])
    changed = np.nonzero((drawn != shown).any(-1))
    assert changed[1].min() == pytest.approx(0.3 * TILE, abs=2)
    assert (tile(image, box, Detections([[0, 300, 10, 310]], [0.9], [0]), NO_TRUTH, ['x'])
            == shown).all()  # outside the window: nothing is drawn


@pytest.mark.parametrize('shape, expected', [
    ((50, 100), (100, 200)), ((100, 50), (100, 50)), ((1, 1000), (1, 200)),
    ((10, 20), (100, 200))])
def test_fitted_pictures_are_not_distorted(shape, expected):
    assert fit(np.zeros((*shape, 3), np.uint8), 200, 100).shape[:2] == expected


def test_a_report_does_not_replace_another_kind_of_result(tmp_path):
    (tmp_path / 'summary.json').write_text('{}')
    with pytest.raises(FileExistsError, match='has no report.json'), \
            result_folder(tmp_path, MARK):
        pass
    assert Path(tmp_path / 'summary.json').exists()


@pytest.mark.parametrize('label', range(12))
def test_colours_of_plots_show_on_white_and_on_black(label):
    red, green, blue = plot_style.line_colour(label)
    assert 0.38 < 0.299 * red + 0.587 * green + 0.114 * blue < 0.63
