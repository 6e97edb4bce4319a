"""The verb `bag_to_voc`: whole or not there, and its boxes open in other tools."""

from __future__ import annotations

import json
import os
import random
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('rosbags')
pytest.importorskip('matplotlib')
pytest.importorskip('tqdm')
import recordings  # noqa: E402
from orange_detector import NAMES, OrangeDetector, interrupted, replace_network  # noqa: E402

from ssd_perception.__main__ import main  # noqa: E402
from ssd_perception.bags.reader import Bag  # noqa: E402
from ssd_perception.data.layout import read_split  # noqa: E402

FRAMES, COUNT = 25, 4


class BesideIt(OrangeDetector):
    """Finds the square a little beside where it is."""

    edges = (-0.4, 0.3, 1.3, 1.0)

    def score(self, left):
        return 0.55 + 0.02 * (left // 5 % 7)


@pytest.fixture
def detectors(monkeypatch):
    """Replace the network; the list holds every detector that was made."""
    return replace_network(monkeypatch, BesideIt)


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    return recordings.write_recording(tmp_path_factory.mktemp('bags') / 'drive', frames=FRAMES,
                                      size=(320, 320))


def mine(bag, out, *words):
    return main(['bag_to_voc', str(bag), '--out', str(out), '--count', str(COUNT), *words])


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob('*'))
            if p.is_file()}


def test_pictures_are_the_recorded_bytes_with_boxes_in_three_layouts(detectors, recording,
                                                                     tmp_path, capsys):
    out = tmp_path / 'mined'
    assert mine(recording, out) == 0
    assert f'{COUNT} of {FRAMES} frames, with {COUNT} boxes' in capsys.readouterr().out
    with Bag(recording) as bag:
        recorded = {f'{r.stamp_ns}.jpg': bytes(r.message.data)
                    for r in bag.records([recordings.IMAGE])}
    selection = json.loads((out / 'selection.json').read_text())
    files = [chosen['file'] for chosen in selection['chosen']]
    assert len(set(files)) == COUNT
    for folder in (out / 'JPEGImages', out / 'coco' / 'images' / 'train'):
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
            name: recorded[name] for name in files}
    stamps = sorted(int(Path(name).stem) for name in files)
    assert min(np.diff(stamps)) >= 0.5e9  # of 2.5 s
    voc, coco = read_split(out, 'train', None), read_split(out / 'coco', 'train', None)
    assert [s.path.name for s in voc] == [f'{stamp}.jpg' for stamp in stamps]
    for sample, same in zip(voc, sorted(coco, key=lambda s: s.path.name)):
        left = 100 + 5 * ((int(sample.path.stem) - recordings.START_NS) // recordings.PERIOD_NS)
        assert sample.names == same.names == ('cone',)  # the faint cube is no box
        np.testing.assert_allclose(same.xyxy, [[left - 0.4, 200.3, left + 100.3, 300]], atol=3)
        assert sample.xyxy.tolist() == np.rint(same.xyxy).tolist()  # labelImg: whole pixels
    page = (out / 'selection.html').read_text()
    assert page.count('data:image/jpeg') == COUNT
    assert [p.name for p in tmp_path.iterdir()] == ['mined']


def test_labelimg_finds_what_it_reads(detectors, recording, tmp_path):
    """What labelImg's PascalVocReader takes from a file; it fails where one is missing."""
    assert mine(recording, tmp_path / 'mined') == 0
    for path in (tmp_path / 'mined' / 'Annotations').iterdir():
        root = ElementTree.parse(path).getroot()
        assert root.tag == 'annotation' and 'verified' not in root.attrib
        assert (tmp_path / 'mined' / 'JPEGImages' / root.find('filename').text).is_file()
        assert [root.find(f'size/{side}').text for side in ('width', 'height', 'depth')] == [
            '320', '320', '3']
        for item in root.iter('object'):
            assert item.find('name').text == 'cone' and item.find('difficult').text == '0'
            edges = [int(item.find(f'bndbox/{side}').text)
                     for side in ('xmin', 'ymin', 'xmax', 'ymax')]
            assert edges[0] < edges[2] <= 320 and edges[1] < edges[3] <= 320
    assert (tmp_path / 'mined' / 'classes.txt').read_text() == 'cube\ncone\n'


def test_pycocotools_reads_the_boxes(detectors, recording, tmp_path):
    coco = pytest.importorskip('pycocotools.coco')
    assert mine(recording, tmp_path / 'mined') == 0
    read = coco.COCO(str(tmp_path / 'mined/coco/annotations/instances_train.json'))
    assert len(read.imgs) == len(read.anns) == COUNT
    assert {c['name'] for c in read.loadCats(read.getCatIds())} == set(NAMES)
    assert {a['category_id'] for a in read.anns.values()} == {2}
    assert all(0.5 < a['score'] < 0.7 and a['iscrowd'] == 0 for a in read.anns.values())


def test_label_studio_takes_the_predictions(detectors, recording, tmp_path):
    """By its documented format; by its own SDK too, where that is installed."""
    out = tmp_path / os.fsdecode(b'a&b#\xff\x07')  # neither ends the address, nor breaks the XML
    assert mine(recording, out) == 0
    assert len(read_split(out, 'train')) == COUNT
    folder = out / 'label_studio'
    tasks = json.loads((folder / 'tasks.json').read_text())
    interface = (folder / 'interface.xml').read_text()
    view = ElementTree.fromstring(interface)
    names = {label.get('value') for label in view.iter('Label')}
    assert names == set(NAMES) and view.find('Image').get('value') == '$image'
    for task in tasks:
        assert task['data']['image'].startswith('/data/local-files/?d=a%26b%23%FF%07/JPEGImages/')
        region, = task['predictions'][0]['result']
        assert (region['from_name'], region['to_name']) == ('label', 'image')
        value = region['value']
        assert set(value['rectanglelabels']) <= names
        stem = Path(task['data']['image']).stem
        left = 100 + 5 * ((int(stem) - recordings.START_NS) // recordings.PERIOD_NS)
        assert value['x'] == pytest.approx(100 * (left - 0.4) / 320, abs=1)
        assert value['height'] == pytest.approx(100 * 99.7 / 320, abs=1)
    sdk = pytest.importorskip('label_studio_sdk.label_interface').LabelInterface(interface)
    assert all(sdk.validate_prediction(task['predictions'][0]) for task in tasks)


def test_the_detector_looks_at_the_chosen_frames_only(detectors, recording, tmp_path):
    assert mine(recording, tmp_path / 'mined') == 0
    assert detectors[-1].calls == COUNT


def test_an_interrupted_run_leaves_nothing(detectors, recording, tmp_path):
    with interrupted(BesideIt, at=2):
        assert mine(recording, tmp_path / 'mined') == 130
    assert list(tmp_path.iterdir()) == []


def test_a_frame_that_breaks_the_detector_costs_itself(detectors, recording, tmp_path, capsys,
                                                       monkeypatch):
    detect, asked = BesideIt.detect, []

    def fragile(self, images, settings=None):
        asked.append(images)
        if len(asked) == 2:
            raise RuntimeError('no kernel\nfor this')
        return detect(self, images, settings)
    monkeypatch.setattr(BesideIt, 'detect', fragile)
    assert mine(recording, tmp_path / 'mined') == 0
    printed = capsys.readouterr().out
    assert 'is left out, because the detector failed: RuntimeError: no kernel for this' in printed
    assert f'{COUNT - 1} of {FRAMES} frames, with {COUNT - 1} boxes' in printed
    monkeypatch.setattr(BesideIt, 'detect', lambda *_: 1 / 0)
    assert mine(recording, tmp_path / 'again') == 1
    assert 'division by zero' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['mined']


def test_two_runs_give_the_same_bytes(detectors, recording, tmp_path):
    for name in ('one', 'two'):
        assert mine(recording, tmp_path / name / 'mined') == 0
    assert content(tmp_path / 'one') == content(tmp_path / 'two')


def test_what_exists_is_never_touched(detectors, recording, tmp_path, capsys):
    assert mine(recording, tmp_path / 'mined') == 0
    before = content(tmp_path / 'mined')
    assert mine(recording, tmp_path / 'mined') == 1
    error = capsys.readouterr().err
    assert 'may hold corrected boxes' in error and error.count('\n') == 1
    assert content(tmp_path / 'mined') == before


def test_a_broken_recording_is_mined_as_far_as_it_goes(detectors, recording, tmp_path, capsys):
    folder = shutil.copytree(recording, tmp_path / 'drive')
    file = folder / 'drive.mcap'
    with file.open('r+b') as stream:
        stream.truncate(file.stat().st_size // 2)
    assert mine(folder, tmp_path / 'mined') == 0
    assert 'drive.mcap' in capsys.readouterr().out
    assert len(list((tmp_path / 'mined' / 'JPEGImages').iterdir())) == COUNT


@pytest.mark.parametrize('seed', range(10))
def test_cut_anywhere_it_is_mined_or_refused(detectors, tmp_path, capsys, seed):
    folder = recordings.write_recording(tmp_path / 'drive', frames=8, size=(320, 320))
    file = folder / 'drive.mcap'
    with file.open('r+b') as stream:
        stream.truncate(random.Random(seed).randrange(file.stat().st_size))
    code = mine(folder, tmp_path / 'mined')
    printed = capsys.readouterr()
    if code == 0:
        assert read_split(tmp_path / 'mined', 'train', None) and 'lost' in printed.out
        assert sorted(p.name for p in tmp_path.iterdir()) == ['drive', 'mined']
    else:
        assert code == 1 and printed.err.count('\n') == 1
        assert [p.name for p in tmp_path.iterdir()] == ['drive']


def test_raw_pictures_several_cameras_and_too_few_frames(detectors, tmp_path, capsys):
    types = recordings.types
    with recordings.BagWriter(tmp_path / 'drive') as bag:
        for index in range(3):
            image = recordings.picture(index)
            image[:100] = 100 * index
            # The first one of each time is too short, and never chosen.
            for name, shown in (('front', image[:9]), ('front', image), ('rear', image[:, ::-1])):
                bag.write(f'/{name}/image_raw', recordings.START_NS + index, types(
                    'sensor_msgs/msg/Image')(
                        header=recordings.header(index), height=480, width=640, encoding='bgr8',
                        is_bigendian=0, step=1920, data=shown.reshape(-1)))
    assert mine(tmp_path / 'drive', tmp_path / 'mined') == 0
    assert 'Only' not in capsys.readouterr().out
    stems = sorted(p.stem for p in (tmp_path / 'mined' / 'JPEGImages').iterdir())
    assert {stem.partition('_')[0] for stem in stems} == {'front', 'rear'}
    picture = cv2.imread(str(tmp_path / 'mined' / 'JPEGImages' / f'{stems[0]}.jpg'))
    index = (int(stems[0].partition('_')[2]) - recordings.START_NS) // recordings.PERIOD_NS
    assert np.abs(picture.astype(int) - recordings.picture(index))[100:].mean() < 8
    assert mine(tmp_path / 'drive', tmp_path / 'few', '--count', '9') == 0
    assert 'Only 6 frames instead of 9: there are no more.' in capsys.readouterr().out
    summary = json.loads((tmp_path / 'few' / 'selection.json').read_text())
    assert (summary['frames'], summary['unreadable']) == (9, 3)
    assert [frame['index'] for frame in summary['chosen']] == [1, 2, 4, 5, 7, 8]


@pytest.mark.parametrize('words, reason', [
    (['--count', '0'], '--count must be'),
    (['--split', '../x'], '--split must be'), (['--topics', '/rear'], 'no topic /rear')])
def test_what_is_wrong_is_one_sentence(detectors, recording, tmp_path, capsys, words, reason):
    assert mine(recording, tmp_path / 'mined', *words) == 1
    error = capsys.readouterr().err
    assert reason in error and error.count('\n') == 1
    assert list(tmp_path.iterdir()) == []
