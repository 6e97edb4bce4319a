"""The shipped recipes: they load, say what every key means, and name no key twice."""

from pathlib import Path

import pytest
import yaml

from ssd_perception.training.recipe import load_recipe

FOLDER = Path(__file__).resolve().parents[2] / 'config' / 'train'
RECIPES = sorted(FOLDER.glob('*.yaml'))
VOC_NAMES = ('aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse '
             'motorbike person pottedplant sheep sofa train tvmonitor').split()


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.name)
def test_a_recipe_loads_and_every_group_of_keys_is_explained(path):
    load_recipe(path)
    lines = path.read_text().splitlines()
    assert lines[0].startswith('# ') and any(line.startswith('# Run: ') for line in lines[:4])
    explained = False
    for line in lines:
        key = line.strip()
        if key.startswith('#'):
            explained = True
        elif not key:
            explained = False
        elif not key.endswith(':') and ':' in key:
            assert explained, f'{path.name}: "{key}" has no comment above it'


def test_voc_is_the_full_recipe_on_twenty_classes():
    recipe = load_recipe(FOLDER / 'voc.yaml')
    a = recipe.architecture
    assert (a.backbone, a.input_hw, recipe.init) == ('efficientnet_b1', (512, 512), 'imagenet')
    assert list(recipe.class_names) == VOC_NAMES
    assert recipe.batch_size % 8 == 0  # for up to eight GPUs


def test_voc_names_every_key_there_is():
    """It is the recipe people copy: what it does not show, they do not find."""
    shown = yaml.safe_load((FOLDER / 'voc.yaml').read_text())
    recipe = load_recipe(FOLDER / 'voc.yaml').as_dict()
    assert set(recipe) <= set(shown)
    for part in ('loss', 'augmentation'):
        assert set(recipe[part]) == set(shown[part])
    assert {'backbone', 'input_hw', 'pyramid_channels', 'head_depth'} <= set(shown['architecture'])
