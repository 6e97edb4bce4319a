"""A plan follows from the data, the time and the machine, and a user's own keys win."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import TINY, write_pictures

from ssd_perception.__main__ import main
from ssd_perception.core.errors import DataError
from ssd_perception.core.metadata import Architecture, Metadata, Preprocessing
from ssd_perception.data.sample import Sample
from ssd_perception.data.voc import read_voc
from ssd_perception.inference.resolve import resolve_weights
from ssd_perception.model.initialise import InitialWeightsUnavailable, initialise
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import load_model
from ssd_perception.training import plan
from ssd_perception.training.recipe import load_recipe
from ssd_perception.training.step_time import Times, measure_times, typical


def samples_of(side, width=640, height=480, count=40, ratio=1.0):
    """Return samples with three objects each, whose sides have the geometric mean ``side``."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        w, h = side / ratio ** 0.5, side * ratio ** 0.5
        x, y = rng.uniform(0, width - w, 3), rng.uniform(0, height - h, 3)
        boxes = np.stack([x, y, x + w, y + h], 1).astype(np.float32)
        found.append(Sample(None, boxes, ('a',) * 3, np.zeros(3, bool), None, (height, width)))
    return found


@pytest.fixture
def planned(monkeypatch):
    monkeypatch.setattr(plan, 'measure_times', lambda *arguments: Times(0.5, 0.03))

    def call(samples, minutes=10, latency_ms=None, changes=(), measured=0, names=('a',),
             init=''):
        return plan.plan_recipe(samples, names, minutes, latency_ms, 'cpu', changes, init,
                                samples[:1] * measured)
    return call


@pytest.mark.parametrize('samples, input_hw', [
    (samples_of(200), (256, 320)),                          # large objects: the smallest input
    (samples_of(30), (384, 512)),                           # 24 px in the input
    (samples_of(5), (480, 640)),                            # never larger than the images
    (samples_of(15, 2000, 1500), (864, 1152)),              # never larger than the largest
    (samples_of(25, 2000, 1500), (704, 960)),               # 12 px in the input
    (samples_of(30, 2400, 240), (160, 1600)),               # the area counts, not the long side
    (samples_of(10, 320, 240), (256, 320)),                 # never larger than the images
    (samples_of(60, ratio=36.0), (384, 512)),                 # a rod, 10 px wide, counts as 30 px
    (samples_of(200, 480, 640), (320, 256)),                # portrait
    (samples_of(200, 640, 640), (320, 320))])
def test_the_input_follows_the_images_and_their_small_objects(planned, samples, input_hw):
    assert planned(samples).recipe.architecture.input_hw == input_hw


def test_large_inputs_are_computed_in_parts_and_lost_objects_are_named(planned):
    found = planned(samples_of(15, 4000, 3000))
    assert found.recipe.accumulate == 4
    assert 'parts of about 320 x 320 px' in found.reasons['architecture.input_hw']
    assert planned(samples_of(15, 4000, 3000), changes=('batch_size=6',)).recipe.accumulate == 2
    usual = planned(samples_of(30))
    assert usual.recipe.accumulate == 1 and 'Cut' not in usual.reasons['architecture.input_hw']


def test_anchors_are_fitted_where_the_usual_ones_do_not_match(planned):
    usual = planned(samples_of(100))
    assert usual.recipe.architecture.anchors.aspect_ratios == (0.5, 1.0, 2.0)
    thin = planned(samples_of(100, ratio=6.0))
    assert max(thin.recipe.architecture.anchors.aspect_ratios) > 4
    assert 'k-means' in thin.reasons['architecture.anchors']


@pytest.mark.parametrize('count, minutes, steps, reason', [
    (40, 10, 1188, '10 minutes; a step takes 0.50 s here, and the run has 237'),
    (40, 0.1, 60, 'at least 60 steps, 0.5 minutes; a step'),
    (1, 10, 60, 'at least 60 steps, 0.5 minutes; a step'),
    (40, 15, 1500, '300 epochs at most, 12.5 minutes; 15 minutes are enough for 47 images; a')])
def test_the_length_follows_time_and_data(planned, count, minutes, steps, reason):
    found = planned(samples_of(100, count=count), minutes)
    recipe = found.recipe
    assert found.reasons['iterations'].startswith(reason)
    assert abs(recipe.iterations - steps) <= 2
    assert recipe.warmup <= steps / 5 and 1 / (1 - recipe.ema_decay) < steps


def test_a_busy_moment_and_bursts_of_the_loader_do_not_change_the_time_of_a_step():
    steps = [9.0] + [0.2] * 4 + [0.2, 0.2, 0.2, 1.4] * 5  # the first, those in stock, bursts
    assert typical(np.cumsum(steps)) == pytest.approx(0.5)
    steps[10] = 7.0
    assert typical(np.cumsum(steps)) == pytest.approx(0.5)
    assert typical(np.cumsum([9.0, 3.0, 4.0, 5.0])) == pytest.approx(4.0)  # a slow machine
    eight = [9.0] + [0.1] * 32 + ([0.1] * 7 + [3.3]) * 3  # loader processes, as on a GPU
    assert typical(np.cumsum(eight), 8) == pytest.approx(0.5)


def test_times_are_measured_and_a_broken_validation_image_is_left_out(tmp_path, capsys):
    samples = read_voc(write_pictures(tmp_path, 4), 'train')
    times = measure_times(TINY, samples, samples, 'cpu', 0.0)
    assert times.step > 0 and times.image > 0
    assert measure_times(TINY, samples[:1], [], 'cpu', 0.0).image == 0
    samples[3].path.write_bytes(b'no image')
    assert measure_times(TINY, samples[:3], samples, 'cpu', 0.0).image > 0
    assert '3.png is not an image' in capsys.readouterr().err


def test_many_validation_images_are_measured_less_often(planned):
    few, many = (planned(samples_of(100), measured=count).recipe for count in (100, 2000))
    assert few.evaluate_every == -(-few.iterations // 6)
    assert many.evaluate_every == many.iterations < 0.8 * few.iterations


def test_a_length_of_ones_own_needs_no_measurement(planned, monkeypatch):
    monkeypatch.setattr(plan, 'measure_times', None)
    recipe = planned(samples_of(100), changes=('iterations=80',)).recipe
    assert (recipe.warmup, recipe.ema_ramp) == (8, 10)


def test_own_keys_win_and_what_depends_on_them_follows(planned):
    found = planned(samples_of(100, ratio=6.0), changes=(
        'iterations=7', 'architecture.input_hw=[128, 128]', 'architecture.head_depth=1'))
    a = found.recipe.architecture
    assert (found.recipe.iterations, a.input_hw, a.head_depth) == (7, (128, 128), 1)
    assert max(a.anchors.aspect_ratios) > 4
    assert 'iterations' not in found.reasons


def test_the_plan_is_a_recipe_that_reads_back(planned, tmp_path):
    found = planned(samples_of(30, ratio=5.0))
    (tmp_path / 'recipe.yaml').write_text(found.yaml)
    assert load_recipe(tmp_path / 'recipe.yaml') == found.recipe
    for key, reason in found.reasons.items():
        assert any(key in line and reason in line for line in found.lines)


@pytest.mark.parametrize('limit, verdict', [(25.0, 'within'), (0.001, 'more than')])
def test_latency_bounds_the_input(planned, monkeypatch, limit, verdict):
    monkeypatch.setattr(plan, 'latency', lambda a, p, d: np.prod(a.input_hw) / 2560)  # ms
    found = planned(samples_of(30), latency_ms=limit)
    height, width = found.recipe.architecture.input_hw
    assert height * width < 512 * 384 and 1.3 < width / height < 2.1
    assert f'{30 / 640 * width:.0f} px here' in found.reasons['architecture.input_hw']
    assert verdict in found.reasons['architecture.backbone']


def test_a_measured_latency_leaves_nothing_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('SSD_PERCEPTION_CACHE', str(tmp_path))
    small = Architecture('efficientnet_lite0', (128, 128))
    assert plan.latency(small, Preprocessing(), 'cpu') > 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('changes, init, frozen', [
    ((), 'rover_far', 3), (('frozen_stages=0',), 'rover_far', 0),
    (('architecture.backbone=efficientnet_lite1',), 'lite', 0),
    (('architecture.heads=joint',), 'lite', 0), (('init=random',), 'random', 0)])
def test_it_begins_with_the_shipped_detector_where_that_fits(planned, changes, init, frozen):
    recipe = planned(samples_of(100), changes=changes).recipe
    assert (recipe.init, recipe.frozen_stages) == (init, frozen)


@pytest.mark.parametrize('own, lite, count, changes, backbone, frozen', [
    (8, 3, 40, (), 'lite', 8), (8, 5, 40, (), 'none', 3), (3, 1, 40, (), 'none', 3),
    (8, 3, 200, (), 'none', 3),
    # Trained on, ImageNet's backbone forgets: COCO AP on pets fell to 0.09.
    (8, 3, 40, ('frozen_stages=2',), 'none', 2),
    (8, 3, 40, ('init_backbone=none',), 'none', 3), (8, 3, 40, ('init=random',), 'none', 0)])
def test_a_few_images_keep_what_imagenet_knows_of_their_classes(
        planned, monkeypatch, own, lite, count, changes, backbone, frozen):
    counts = iter((own, lite))
    monkeypatch.setattr(plan, 'mistakes', lambda *arguments: next(counts))
    samples = samples_of(100, count=count)
    samples[0] = replace(samples[0], names=('a', 'a', 'b'))
    recipe = planned(samples, names=('a', 'b'), changes=changes).recipe
    assert (recipe.init_backbone, recipe.frozen_stages) == (backbone, frozen)


def test_without_imagenet_weights_a_few_images_begin_with_the_detector(planned, monkeypatch):
    def refuse(*arguments):
        raise InitialWeightsUnavailable('not installed')
    monkeypatch.setattr(plan, 'mistakes', refuse)
    samples = [replace(sample, names=('a', 'a', 'b')) for sample in samples_of(100)]
    recipe = planned(samples, names=('a', 'b')).recipe
    assert (recipe.init, recipe.init_backbone, recipe.frozen_stages) == ('rover_far', 'none', 3)


@pytest.mark.parametrize('init, changes, backbone', [
    ('rover', (), 'efficientnet_lite0_short'), ('', ('init=rover_b1',), 'efficientnet_b1'),
    ('random', (), 'efficientnet_lite0')])
def test_the_network_is_that_of_the_weights_to_begin_with(planned, init, changes, backbone):
    recipe = planned(samples_of(100), init=init, changes=changes).recipe
    a = recipe.architecture
    assert (a.backbone, recipe.init) == (backbone, init or 'rover_b1')
    where = init if init == 'random' else str(resolve_weights(recipe.init))
    initialise(SSD(a, 1), where, recipe.class_names)  # refuses a network that does not fit


def test_many_classes_bound_the_input(planned):
    names = tuple(f'c{i}' for i in range(300))
    recipe = planned(samples_of(15, 4000, 3000), names=('a', *names)).recipe
    Metadata(recipe.class_names, recipe.architecture)  # refuses too many outputs
    assert recipe.architecture.input_hw == (384, 512)


@pytest.mark.parametrize('names, flip', [
    ((*'0123456789', 'plate'), 0.0), (('a', 'tree', 'house'), 0.5),
    (('turn_left', 'turn_right', 'stop'), 0.0), (('Left', 'RIGHT'), 0.0), (('b', 'd'), 0.0),
    (('turn_left', 'stop'), 0.5), (('upright', 'fallen'), 0.5), (('x',), 0.5)])
def test_images_are_not_mirrored_where_that_changes_the_class(planned, names, flip):
    recipe = planned(samples_of(100), names=names).recipe
    assert recipe.augmentation.flip == flip
    assert planned(samples_of(100), names=names, changes=('augmentation.flip=0.25',)
                   ).recipe.augmentation.flip == 0.25


def test_without_an_object_there_is_nothing_to_plan(planned):
    empty = [Sample(None, np.zeros((0, 4), np.float32), (), np.zeros(0, bool), None, (48, 64))]
    with pytest.raises(DataError, match='hold no object'):
        planned(empty)


def test_training_without_a_recipe_ends_in_measured_weights(tmp_path, capsys):
    data, out = write_pictures(tmp_path / 'data', 12), tmp_path / 'mine'
    arguments = ['train', '--data', str(data), '--out', str(out), '--device', 'cpu', '--minutes',
                 '0.1', '--set', 'architecture.input_hw=[64, 64]', 'batch_size=2', 'workers=0',
                 'architecture.pyramid_channels=8', 'init=random', 'iterations=4']
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert 'Planned: efficientnet_lite0 at 64x64' in said and 'label more validation' in said
    _, metadata = load_model(out / 'mine.safetensors')
    assert metadata.metrics['data']['objects'] > 0
    assert f'default score threshold {metadata.score_threshold:g}' in said
    assert load_recipe(out / 'recipe.yaml').as_dict() == load_recipe(
        out / 'recipe.yaml', ('iterations=4',)).as_dict()
    # The same line with --resume continues the run by its own recipe.
    assert main([*arguments, '--resume']) == 0
    assert 'from iteration 4 on' in capsys.readouterr().out
