"""`ssd_perception evaluate`: figures in JSON, a report folder, and bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip('torch')

from ssd_perception.__main__ import main  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RENDERED = ROOT / 'demo' / 'rendered_val'
VOC20 = ROOT.parent / 'shared' / 'datasets' / 'coco_voc20'


@pytest.fixture
def data(tmp_path):
    """Return a copy of four of the rendered pictures."""
    folder = tmp_path / 'few'
    names = [f'val_{i:04d}' for i in range(4)]
    for part, suffix in (('Annotations', '.xml'), ('JPEGImages', '.jpg')):
        (folder / part).mkdir(parents=True)
        for name in names:
            shutil.copy(RENDERED / part / (name + suffix), folder / part)
    (folder / 'ImageSets' / 'Main').mkdir(parents=True)
    (folder / 'ImageSets' / 'Main' / 'val.txt').write_text('\n'.join(names))
    return folder


def evaluate(data, *words):
    return main(['evaluate', '--weights', 'rover', '--device', 'cpu', '--data', str(data), *words])


def test_json_and_report_have_every_figure(data, tmp_path, capsys):
    out, report = tmp_path / 'new' / 'folder' / 'figures.json', tmp_path / 'report'
    assert evaluate(data, '--json', str(out), '--report', str(report)) == 0
    figures = json.loads(out.read_text())
    assert {'voc07_ap50', 'voc10_ap50', 'coco_ap', 'coco_ap50', 'coco_ap75', 'coco_ap_small',
            'coco_ap_medium', 'coco_ap_large', 'per_class', 'images', 'objects', 'difficult',
            'operating_point', 'best_f1', 'over_thresholds', 'sizes', 'false_positives', 'misses',
            'confusion', 'calibration', 'pr_curves', 'latency', 'skipped',
            'measured'} == set(figures)
    assert {'voc07_ap50', 'voc10_ap50', 'coco_ap', 'objects', 'at_threshold',
            'best_f1'} == set(figures['per_class']['cone'])
    assert figures['images'] == 4 and figures['skipped'] == []
    assert set(figures['latency']['stages']) == {'preprocess', 'network', 'postprocess', 'total'}
    assert all(0 < stage['median_ms'] <= stage['p95_ms']
               for stage in figures['latency']['stages'].values())
    assert figures['latency']['conditions']['device'] == 'cpu'
    assert figures['measured']['data'] == 'few'
    assert len(figures['measured']['weights SHA-256']) == 64
    assert str(tmp_path) not in out.read_text()  # it may be published
    assert json.loads((report / 'report.json').read_text()) == figures
    assert 'rover on few val' in (report / 'report.html').read_text()
    assert f'voc10_ap50: {figures["voc10_ap50"]:.4f}' in capsys.readouterr().out
    # an earlier report is replaced, and the threshold is a choice that AP does not depend on
    assert evaluate(data, '--report', str(report), '--score-threshold', '0.9') == 0
    again = json.loads((report / 'report.json').read_text())
    assert again['operating_point']['score_threshold'] == 0.9
    assert again['operating_point']['recall'] < figures['operating_point']['recall']
    assert again['coco_ap'] == figures['coco_ap']


def test_a_picture_that_cannot_be_decoded_is_left_out(data, tmp_path, capsys):
    (data / 'JPEGImages' / 'val_0002.jpg').write_bytes(b'no picture')
    out = tmp_path / 'figures.json'
    assert evaluate(data, '--json', str(out)) == 0
    printed = capsys.readouterr()
    assert 'val_0002.jpg is not an image' in printed.err
    assert '1 of 4 images could not be decoded' in printed.out
    figures = json.loads(out.read_text())
    assert figures['images'] == 3 and figures['skipped'] == ['val_0002.jpg']


@pytest.mark.parametrize('words, says', [
    (['--split', 'test'], 'has no split "test"'),
    (['--json', '{tmp}'], '--json takes a file'),
    (['--report', '{tmp}'], 'is no earlier result'),
    (['--score-threshold', '7'], '"score_threshold" must be a number from 0.0 to 1.0'),
])
def test_bad_input_is_one_sentence_before_measuring(data, tmp_path, capsys, words, says):
    assert evaluate(data, *(word.format(tmp=tmp_path) for word in words)) == 1
    err = capsys.readouterr().err
    assert says in err and len(err.splitlines()) == 1


def test_only_broken_pictures_are_one_sentence(data, capsys):
    for path in (data / 'JPEGImages').iterdir():
        path.write_bytes(b'')
    assert evaluate(data) == 1
    assert 'None of the 4 images could be decoded' in capsys.readouterr().err.splitlines()[-1]


def test_classes_that_the_weights_lack_are_listed(capsys):
    if not VOC20.is_dir():
        pytest.skip('no data: coco_voc20 is not here')
    assert evaluate(VOC20, '--split', 'test') == 1
    err = capsys.readouterr().err
    assert 'it detects cone, cube, but the images have aeroplane, bicycle' in err
    assert 'and 14 more' in err and len(err.splitlines()) == 1


def test_pictures_of_other_things_count_false_boxes(data, tmp_path, capsys):
    """The same pictures with a class the weights lack: an error, unless they are negatives."""
    for path in (data / 'Annotations').iterdir():
        path.write_text(path.read_text().replace('<name>cone<', '<name>dog<'))
    assert evaluate(data) != 0
    assert '--negatives' in capsys.readouterr().err
    out = tmp_path / 'figures.json'
    assert evaluate(data, '--negatives', '--json', str(out), '--report', str(tmp_path / 'r')) == 0
    figures = json.loads(out.read_text())
    counted = figures['negatives']
    assert counted['images'] == 4 and counted['false_boxes'] > 0  # there are cones, after all
    assert counted['false_boxes'] == figures['false_positives']['background']
    assert figures['coco_ap'] is None and figures['objects'] == 0
    printed = f'{counted["false_boxes"]} false box'
    assert printed in capsys.readouterr().out
    assert 'on 4 images without these classes' in (tmp_path / 'r' / 'report.html').read_text()


def test_corruptions_without_objects_are_refused(data, capsys):
    assert evaluate(data, '--negatives', '--corruptions') != 0
    assert 'give one of the two' in capsys.readouterr().err


def test_classes_that_the_data_name_otherwise(data, tmp_path, capsys):
    for path in (data / 'Annotations').glob('*.xml'):
        path.write_text(path.read_text().replace('<name>cone</name>', '<name>pylon</name>'))
    assert evaluate(data) == 1
    assert 'have pylon' in capsys.readouterr().err
    assert evaluate(data, '--names', 'pylon') == 1
    assert '--names takes DATA=WEIGHTS or voc, got "pylon"' in capsys.readouterr().err
    out = tmp_path / 'figures.json'
    assert evaluate(data, '--names', 'pylon=cone', 'voc', '--json', str(out)) == 0
    assert set(json.loads(out.read_text())['per_class']) == {'cone', 'cube'}


def test_with_names_classes_that_the_data_lack_are_left_out(data, tmp_path):
    for path in (data / 'Annotations').glob('*.xml'):
        tree = ElementTree.parse(path)
        for item in tree.getroot().findall('object'):
            if item.findtext('name') == 'cube':
                tree.getroot().remove(item)
        tree.write(path)
    figures = {}
    for name, words in (('all', ()), ('named', ('--names', 'pylon=cone'))):
        out = tmp_path / f'{name}.json'
        assert evaluate(data, *words, '--json', str(out), '--report', str(tmp_path / name)) == 0
        figures[name] = json.loads(out.read_text())
    assert set(figures['all']['per_class']) == {'cone', 'cube'}
    assert set(figures['named']['per_class']) == {'cone'}
    assert figures['all']['per_class']['cone'] == figures['named']['per_class']['cone']
    assert figures['named']['operating_point']['precision'] \
        > figures['all']['operating_point']['precision']  # boxes on cubes do not count
