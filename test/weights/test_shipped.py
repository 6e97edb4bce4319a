"""The shipped weights: their card says what is measured, and measuring again says the same."""

import copy
from pathlib import Path

import numpy as np
import pytest

from ssd_perception.core.metadata import recipe_hash
from ssd_perception.data.sample import as_negatives
from ssd_perception.data.voc import read_voc
from ssd_perception.evaluation.accuracy import detect_samples, evaluate
from ssd_perception.evaluation.failures import count_false_boxes
from ssd_perception.evaluation.model_card import BEGIN, END, figures
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.exported import beside, find_export
from ssd_perception.inference.onnx_file import sha256_of
from ssd_perception.inference.resolve import DEFAULT_NAME, resolve_weights
from ssd_perception.inference.weights_file import read_metadata
from ssd_perception.training.recipe import load_recipe, recipe_from_dict

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPHS = ROOT.parent / 'shared' / 'datasets' / 'cone_cube'
RENDERED = ROOT / 'demo' / 'rendered_val'


STREET = PHOTOGRAPHS.parent / 'coco_voc20'
# name -> what its training changed in the recipe
SECOND_RUN = ('warmup=40', 'plateau=0.25', 'ema_decay=0.99', 'ema_ramp=30',
              'evaluate_every=100000', 'augmentation.mosaic=0.25', 'augmentation.mosaic_off=0.35',
              'augmentation.paste.probability=0.5', 'architecture.heads=separable',
              'architecture.pyramid_channels=96', 'architecture.head_depth=2',
              'loss.assignment=iou', 'loss.negative_weights=[]')
SHIPPED = {
    'rover': ('init=runs/rover/rover.last.safetensors', 'iterations=1749', 'frozen_stages=3',
              'batch_size=32', 'learning_rate=0.02', 'warmup=60', 'plateau=0.35',
              'ema_decay=0.998', 'ema_ramp=200.0', 'seed=1'),
    'rover_far': (*SECOND_RUN, 'init=runs/rover_1/last.safetensors', 'iterations=480',
                  'learning_rate=0.04', 'seed=2', 'workers=7', 'batch_size=64',
                  'architecture.backbone=efficientnet_lite0'),
    'rover_b1': (*SECOND_RUN, 'init=runs/rover_b1_1/last.safetensors',
                 'architecture.backbone=efficientnet_b1', 'architecture.input_hw=[256,320]',
                 'freeze_backbone_norms=false', 'batch_size=48', 'iterations=450',
                 'learning_rate=0.03', 'seed=3', 'workers=5'),
}
SLOW = {'rover_far'}  # to measure


@pytest.fixture(scope='module', params=[
    pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in SHIPPED])
def detector(request):
    return Detector.from_weights(request.param, runtime='torch', device='cpu')


def name_of(detector) -> str:
    return detector.path.stem


def test_the_weights_are_small_and_complete(detector):
    assert resolve_weights(name_of(detector)).stat().st_size < 13e6  # fp16
    metadata = detector.metadata
    assert metadata.recipe_hash and metadata.package_version and metadata.date
    assert 'CC BY 4.0' in metadata.attribution
    assert set(metadata.metrics) == {'cone_cube val', 'tracon_dev', 'rendered val',
                                     'coco_voc20 test', 'recording'}
    measured = metadata.metrics['cone_cube val']
    assert len(measured['corruptions']) == (18 if name_of(detector) == 'rover' else 15)
    assert measured['calibration']['bins']


def test_the_default_weights_are_the_first():
    assert resolve_weights('').stem == DEFAULT_NAME == 'rover'


@pytest.mark.parametrize('name', SHIPPED)
def test_the_card_has_the_figures_of_the_file(name):
    card = (ROOT / 'weights' / f'{name}.md').read_text()
    metadata = read_metadata(resolve_weights(name))
    assert figures(metadata) == card.split(BEGIN)[1].split(END)[0].strip()


def test_the_recipe_in_the_file_is_the_one_in_the_tree(detector):
    changes = SHIPPED[name_of(detector)]
    recipe = load_recipe(ROOT / 'config' / 'train' / 'rover_gpu.yaml', changes)
    metadata = detector.metadata
    assert recipe_hash(metadata.recipe) == metadata.recipe_hash
    # A key that came later is at its default in the file; one that was deleted was not used.
    written = copy.deepcopy(metadata.recipe)
    deleted = (written.pop('nesterov'), written.pop('patience'), written['loss'].pop('box'),
               written['augmentation']['paste'].pop('backgrounds'))
    assert deleted == (False, 0, 'giou', '')
    assert recipe_from_dict(written, 'weights') == recipe
    card = (ROOT / 'weights' / f'{name_of(detector)}.md').read_text()
    assert all(change in card for change in changes)


@pytest.mark.parametrize('name, folder', [('rendered val', RENDERED),
                                          ('cone_cube val', PHOTOGRAPHS)])
def test_measuring_again_gives_the_same_figures(detector, name, folder):
    if not folder.is_dir():
        pytest.skip(f'no data: {folder.name} is not here')
    measured = evaluate(detector, read_voc(folder, 'val'))
    stored = detector.metadata.metrics[name]
    for key in ('voc10_ap50', 'coco_ap'):
        # Convolutions differ in the last bits between processors, so a tie may fall otherwise.
        assert getattr(measured, key) == pytest.approx(stored[key], abs=0.002)


def test_photographs_of_other_things_hold_no_more_cones_than_stored(detector):
    if not STREET.is_dir():
        pytest.skip(f'no data: {STREET.name} is not here')
    stored = detector.metadata.metrics['coco_voc20 test']['negatives']
    samples = as_negatives(read_voc(STREET, 'test'))
    counted = count_false_boxes(detect_samples(detector, samples), stored['score_threshold'])
    assert abs(counted.false_boxes - stored['false_boxes']) <= 1


def test_photographs_reach_the_bar(detector):
    """At home and elsewhere, as the file says.

    One label of cone_cube val is wrong (a cube is called cone), and a detector that is sure of the
    cube loses AP50 by it.
    """
    name, metrics = name_of(detector), detector.metadata.metrics
    home, elsewhere = metrics['cone_cube val'], metrics['tracon_dev']
    far = name == 'rover_far'  # larger than what it was trained at
    assert home['voc10_ap50'] >= (0.98 if far else 0.99)
    assert home['coco_ap'] >= (0.82 if far else 0.84)
    assert elsewhere['voc10_ap50'] >= 0.75 and elsewhere['coco_ap'] >= (0.42 if far else 0.43)
    point = elsewhere['at_default_threshold']
    assert point['recall'] >= 0.55 and point['precision'] >= 0.90
    assert metrics['coco_voc20 test']['negatives']['false_boxes'] <= (3 if far else 2)
    assert metrics['recording']['voc10_ap50'] >= 0.90


@pytest.mark.parametrize('name', SHIPPED)
def test_no_robot_needs_torch(name):
    """Both exports lie beside the weights, are made from them, and int8 costs next to nothing."""
    weights = resolve_weights(name)
    for precision in ('fp32', 'int8'):
        path = beside(weights, precision)
        found = find_export(weights, precision)
        assert found.path == path and found.info.weights_sha256 == sha256_of(weights)
    before, after = (found.info.calibration[key] for key in ('fp32', 'int8'))
    assert before['voc10_ap50'] - after['voc10_ap50'] <= 0.005
    assert before['coco_ap'] - after['coco_ap'] <= 0.01


def test_grey_black_and_noise_hold_no_cone(detector):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (480, 640, 3)).astype(np.uint8)
    images = [np.full((480, 640, 3), v, np.uint8) for v in (0, 127, 255)] + [noise]
    assert [len(found) for found in detector(images)] == [0] * 4
