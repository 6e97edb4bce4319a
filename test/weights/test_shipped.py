"""The shipped weights: their card says what is measured, and measuring again says the same."""

from pathlib import Path

import numpy as np
import pytest

from ssd_perception.core.metadata import recipe_hash
from ssd_perception.data.voc import read_voc
from ssd_perception.evaluation.card import BEGIN, END, figures
from ssd_perception.evaluation.evaluate import evaluate
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.resolve import DEFAULT_NAME, resolve_weights
from ssd_perception.training.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPHS = ROOT.parent / 'shared' / 'datasets' / 'cone_cube'
RENDERED = ROOT / 'demo' / 'rendered_val'


@pytest.fixture(scope='module')
def detector():
    return Detector.from_weights(DEFAULT_NAME, device='cpu')


def test_the_default_weights_are_small_and_complete(detector):
    assert resolve_weights('').stat().st_size < 30e6
    metadata = detector.metadata
    assert metadata.recipe_hash and metadata.package_version and metadata.date
    assert 'CC BY 4.0' in metadata.attribution
    assert set(metadata.metrics) == {'cone_cube val', 'rendered val', 'recording'}


def test_the_card_has_the_figures_of_the_file(detector):
    card = (ROOT / 'weights' / f'{DEFAULT_NAME}.md').read_text()
    assert figures(detector.metadata) == card.split(BEGIN)[1].split(END)[0].strip()


def test_the_recipe_in_the_file_is_the_one_in_the_tree(detector):
    recipe = load_recipe(ROOT / 'config' / 'train' / 'rover.yaml')
    assert recipe_hash(recipe.as_dict()) == detector.metadata.recipe_hash


@pytest.mark.parametrize('name, folder', [('rendered val', RENDERED),
                                          ('cone_cube val', PHOTOGRAPHS)])
def test_measuring_again_gives_the_same_figures(detector, name, folder):
    if not folder.is_dir():
        pytest.skip(f'no data: {folder.name} is not here')
    measured = evaluate(detector, read_voc(folder, 'val'))
    told = detector.metadata.metrics[name]
    for key in ('voc10_ap50', 'coco_ap'):
        # Convolutions differ in the last bits between processors, so a tie may fall otherwise.
        assert measured[key] == pytest.approx(told[key], abs=0.002)


def test_photographs_reach_the_bar(detector):
    assert detector.metadata.metrics['cone_cube val']['voc10_ap50'] >= 0.95


def test_grey_black_and_noise_hold_no_cone(detector):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (480, 640, 3)).astype(np.uint8)
    images = [np.full((480, 640, 3), v, np.uint8) for v in (0, 127, 255)] + [noise]
    assert [len(found) for found in detector(images)] == [0] * 4
