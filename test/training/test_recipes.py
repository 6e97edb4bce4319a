"""The shipped recipes: they load, and their comments are those of the fields."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_perception.training.recipe import (
    AugmentationRecipe,
    LossRecipe,
    Recipe,
    load_recipe,
)
from ssd_perception.training.recipe_yaml import to_yaml

FOLDER = Path(__file__).resolve().parents[2] / 'config' / 'train'
RECIPES = sorted(FOLDER.glob('*.yaml'))
VOC_NAMES = ('aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse '
             'motorbike person pottedplant sheep sofa train tvmonitor').split()


def header_of(text):
    """Return the comment that a YAML file begins with, without comment signs."""
    lines = itertools.takewhile(lambda line: line.startswith('#'), text.splitlines())
    return '\n'.join(line[2:] for line in lines)


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.name)
def test_a_shipped_recipe_is_commented_from_its_fields(path):
    """Write it anew with ``to_yaml(load_recipe(path), header_of(text))`` after a change."""
    text = path.read_text()
    assert any(line.startswith('# Run: ') for line in text.splitlines()[:4])
    assert to_yaml(load_recipe(path), header_of(text)) == text


@settings(max_examples=40, deadline=None)
@given(names=st.lists(st.text(st.characters(codec='utf-8', exclude_categories=('C', 'Z')),
                              min_size=1, max_size=8), min_size=1, max_size=3, unique=True),
       rate=st.floats(1e-7, 10), assignment=st.sampled_from(['iou', 'aligned']),
       mosaic=st.floats(0, 1), scales=st.sampled_from([(), (0.5, 1.5)]))
def test_a_recipe_is_read_back_as_it_was(tmp_path_factory, names, rate, assignment, mosaic,
                                         scales):
    recipe = Recipe(7, tuple(names), learning_rate=rate, loss=LossRecipe(assignment=assignment),
                    augmentation=AugmentationRecipe(mosaic=mosaic), multi_scale=scales)
    path = tmp_path_factory.mktemp('recipe') / 'r.yaml'
    path.write_text(to_yaml(recipe, 'a header', {'learning_rate': 'a reason ' * 20}))
    assert load_recipe(path) == recipe


def test_voc_is_the_full_recipe_on_twenty_classes():
    recipe = load_recipe(FOLDER / 'voc.yaml')
    a = recipe.architecture
    assert (a.backbone, a.input_hw, recipe.init) == ('efficientnet_b1', (512, 512), 'imagenet')
    assert list(recipe.class_names) == VOC_NAMES
    assert recipe.batch_size % 8 == 0  # for up to eight GPUs
