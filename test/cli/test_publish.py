"""`ssd_perception publish`: the file, its card and the card's pictures say what was measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest

pytest.importorskip('torch')

from ssd_perception.__main__ import main  # noqa: E402
from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.inference.resolve import resolve_weights  # noqa: E402

RENDERED = Path(__file__).resolve().parents[2] / 'demo' / 'rendered_val'


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Return a folder of three rendered pictures, two with objects."""
    folder = tmp_path_factory.mktemp('few')
    for part in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (folder / part).mkdir(parents=True)
    names = ['val_0000', 'val_0002', 'val_0007']
    for name in names:
        shutil.copy(RENDERED / 'Annotations' / f'{name}.xml', folder / 'Annotations')
        shutil.copy(RENDERED / 'JPEGImages' / f'{name}.jpg', folder / 'JPEGImages')
    (folder / 'ImageSets/Main/val.txt').write_text('\n'.join(names))
    return folder


def publish(data, out, *words):
    return main(['publish', '--weights', str(resolve_weights('rover')), '--data',
                 f'few={data}', '--out', str(out), *words])


def test_what_was_measured_is_in_the_file_and_in_the_card(data, tmp_path):
    out, pictures = tmp_path / 'mine.safetensors', tmp_path / 'pictures'
    assert publish(data, out, '--negatives', f'street={data}', '--attribution', 'Somebody, CC0',
                   '--pictures', str(pictures), '--failures', 'few') == 0
    metadata = Detector.from_weights(out, 'torch', 'cpu').metadata
    few = metadata.metrics['few']
    assert len(few['corruptions']) == 18 and len(few['calibration']['bins']) == 10
    best = few['per_class']['cone']['best_f1']
    assert 0 < best['threshold'] < 1 and metadata.attribution == 'Somebody, CC0'
    assert metadata.metrics['street']['negatives']['images'] == 3
    card = out.with_suffix('.md').read_text()
    assert f'| cone | {best["f1"]:.3f} | {best["threshold"]:g} |' in card
    row = next(r for r in few['corruptions'] if r['corruption'] == 'noise')
    assert f'| noise, sigma | 8: {row["voc10_ap50"]:.3f} / {row["coco_ap"]:.3f} |' in card
    assert 'On images without objects (street)' in card
    for name in ('precision_recall', 'thresholds', 'calibration'):
        text = (pictures / f'{name}.svg').read_text()
        assert text.startswith('<svg xmlns') and 'currentColor' not in text
    sheet = pictures / 'failures.jpg'
    assert not sheet.exists() or cv2.imread(str(sheet)).shape[1] > 200


def test_the_threshold_is_chosen_on_several_sets_and_each_set_says_how_it_does_there(
        data, tmp_path, capsys):
    out, one = tmp_path / 'both.safetensors', tmp_path / 'one'
    shutil.copytree(data, one)
    (one / 'ImageSets/Main/val.txt').write_text('val_0002')
    assert publish(data, out, '--data', f'few={data}', f'one={one}', '--choose-on', 'one',
                   'few') == 0
    metadata = Detector.from_weights(out, 'torch', 'cpu').metadata
    few, single = metadata.metrics['few'], metadata.metrics['one']
    assert few['chose_threshold'] and single['chose_threshold']
    assert few['calibration']['bins'] != single['calibration']['bins']
    assert 'corruptions' in few and 'corruptions' not in single
    card = out.with_suffix('.md').read_text()
    assert 'the best mean F1 over few and one, with equal weights' in card
    for name, row in metadata.metrics.items():
        at, error = row['at_default_threshold'], row['calibration']
        assert (f'| {name} | {at["precision"]:.3f} | {at["recall"]:.3f} | '
                f'{error["expected_calibration_error_at_threshold"]:.3f} |') in card


@pytest.mark.parametrize('words, says', [
    (['--choose-on', 'street'], '--choose-on must be one of few, got "street"'),
    (['--negatives', 'few={data}'], 'Two sets of images are named "few"'),
    (['--data', '{data}'], 'Images are named as NAME=DIR')])
def test_sets_that_cannot_be_are_one_sentence(data, tmp_path, capsys, words, says):
    out = tmp_path / 'mine.safetensors'
    assert publish(data, out, *(word.format(data=data) for word in words)) == 1
    error = capsys.readouterr().err
    assert says in error and error.count('\n') == 1 and not out.exists()


def test_failures_are_shown_of_pictures_that_are_measured(data, tmp_path, capsys):
    out = tmp_path / 'mine.safetensors'
    assert publish(data, out, '--failures', 'street') == 1
    error = capsys.readouterr().err
    assert '--failures must be one of few, got "street"' in error and error.count('\n') == 1
    assert not out.exists()


def test_negatives_hold_the_threshold_up(data, tmp_path):
    """Cones are the false boxes here: as many as there are make a strict limit bite."""
    thresholds = {}
    for rate in ('1', '0.5', '0'):
        out = tmp_path / f'{rate}.safetensors'
        assert publish(data, out, '--negatives', f'street={data}', '--max-false-boxes', rate) == 0
        metadata = Detector.from_weights(out, 'torch', 'cpu').metadata
        found = metadata.metrics['street']['negatives']
        assert found['false_boxes'] <= float(rate) * 3 or metadata.score_threshold == 0.95
        thresholds[rate] = metadata.score_threshold
        assert (f'at most {rate} false boxes an image of street'
                in out.with_suffix('.md').read_text())
        assert out.stat().st_size < 7e6  # fp16
    assert thresholds['1'] < thresholds['0']


def test_the_same_parameters_are_published_for_a_larger_input(data, tmp_path, capsys):
    out = tmp_path / 'far.safetensors'
    assert publish(data, out, '--input-size', '448x320') == 0
    far, rover = (Detector.from_weights(path, 'torch', 'cpu') for path in (
        out, resolve_weights('rover')))
    assert far.metadata.architecture.input_hw == (320, 448)
    assert 'input 448x320 (stretch)' in out.with_suffix('.md').read_text()
    few = far.metadata.metrics['few']['voc10_ap50']
    assert few > 0.5 and far.metadata.recipe == rover.metadata.recipe  # as it was trained
    for size, expected in (('448', 'WIDTHxHEIGHT'), ('450x320', 'multiples of 32')):
        assert publish(data, out, '--input-size', size) != 0
        assert expected in capsys.readouterr().err
