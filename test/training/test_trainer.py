"""The training loop on a tiny network: it learns, resumes bit for bit, and fails in a sentence."""

import dataclasses
import json
import os
import shutil
import zipfile
from pathlib import Path

import cv2
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import TINY, first_step, write_pictures

from ssd_perception.core.errors import DataError
from ssd_perception.core.metadata import Metadata, WeightsError
from ssd_perception.data.sample import class_names
from ssd_perception.data.voc import read_voc
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import load_model, save_weights
from ssd_perception.training import run_folder
from ssd_perception.training.checkpoints import CheckpointError
from ssd_perception.training.recipe import LossRecipe, RecipeError, load_recipe
from ssd_perception.training.schedule import parameter_groups
from ssd_perception.training.trainer import Trainer, TrainingFailed, choose_precision


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    return read_voc(write_pictures(tmp_path_factory.mktemp('voc') / 'data'), 'train')


@pytest.fixture(scope='module')
def whole_run(samples, tmp_path_factory):
    """The folder of a training that ended."""
    folder = tmp_path_factory.mktemp('whole') / 'run'
    Trainer(TINY, samples, {}, folder).run(progress=False)
    return folder


@pytest.fixture
def run(whole_run, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(whole_run, tmp_path / 'run')


def weights_of(trainer):
    return {k: v.clone() for k, v in trainer.model.state_dict().items()}


def interrupt(trainer, iteration, monkeypatch):
    """Run until a signal arrives during the step that reaches ``iteration``."""
    step = trainer.step

    def signalled_step(parts):
        step(parts)
        trainer._signalled = trainer.iteration == iteration
    monkeypatch.setattr(trainer, 'step', signalled_step)
    with pytest.raises(KeyboardInterrupt):
        trainer.run(progress=False)


def test_a_resumed_run_ends_in_the_same_weights_bit_for_bit(samples, tmp_path, monkeypatch):
    whole = Trainer(TINY, samples, {}, tmp_path / 'whole')
    whole.run(progress=False)

    interrupt(Trainer(TINY, samples, {}, tmp_path / 'parts'), 3, monkeypatch)
    torch.manual_seed(99)  # what another process would have done
    second = Trainer(TINY, samples, {}, tmp_path / 'parts')
    assert second.resume() and second.iteration == 3
    second.run(progress=False)

    expected, got = weights_of(whole), weights_of(second)
    assert all(torch.equal(expected[key], got[key]) for key in expected)
    assert (tmp_path / 'whole/whole.last.safetensors').read_bytes() == \
        (tmp_path / 'parts/parts.last.safetensors').read_bytes()


def test_pictures_do_not_depend_on_the_number_of_workers(samples, tmp_path):
    alone = Trainer(TINY, samples, {}, tmp_path / 'a')
    alone.run(progress=False)
    helped = Trainer(dataclasses.replace(TINY, workers=2), samples, {}, tmp_path / 'b')
    helped.run(progress=False)
    expected, got = weights_of(alone), weights_of(helped)
    assert all(torch.equal(expected[key], got[key]) for key in expected)


def test_the_run_leaves_weights_log_checkpoint_and_plots(samples, tmp_path, drawn):
    recipe = dataclasses.replace(TINY, evaluate_every=2)
    trainer = Trainer(recipe, samples, {'tiny': samples}, tmp_path)
    trainer.run(progress=False)
    model, metadata = load_model(trainer.folder.best)
    assert metadata.class_names == ('cone',) and metadata.recipe['iterations'] == 6
    rows = [json.loads(line) for line in (tmp_path / 'log.jsonl').read_text().splitlines()]
    assert len([r for r in rows if 'classes' in r]) == 6 and 'validation' in rows[-1]
    assert not list(tmp_path.glob('*.partial'))
    torch.load(tmp_path / 'checkpoint.pt', weights_only=True)
    for name in ('schedule.png', 'curves.png'):
        image = cv2.imread(str(tmp_path / name))
        assert image is not None and image.std() > 5
    events = EventAccumulator(str(tmp_path / 'tensorboard'))
    events.Reload()
    assert [e.step for e in events.Scalars('train/classes')] == [1, 2, 3, 4, 5, 6]
    assert [e.step for e in events.Scalars('validation/tiny/coco_ap')] == [2, 4, 6]


@pytest.mark.parametrize(('before', 'expected'), [
    (False, 'no earlier checkpoint. Make room and start again'),
    (True, 'the last checkpoint is complete. Make room and continue with --resume')])
def test_a_full_disk_promises_a_checkpoint_only_where_there_is_one(samples, tmp_path, monkeypatch,
                                                                   before, expected):
    trainer = Trainer(TINY, samples, {}, tmp_path)
    if before:
        (tmp_path / 'checkpoint.pt').write_bytes(b'complete')
    monkeypatch.setattr(trainer, '_save', lambda: False)
    with pytest.raises(TrainingFailed, match=expected):
        trainer.run(progress=False)


def test_a_checkpoint_of_another_recipe_is_refused(samples, run):
    other = Trainer(dataclasses.replace(TINY, learning_rate=0.5), samples, {}, run)
    with pytest.raises(CheckpointError, match='another recipe'):
        other.resume()
    # A kilobyte that unpacks to a megabyte, or to any number of them.
    with zipfile.ZipFile(run / 'checkpoint.pt') as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(run / 'checkpoint.pt', 'w', zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    with pytest.raises(CheckpointError, match='holds compressed data'):
        other.resume()
    (run / 'checkpoint.pt').write_bytes(b'torn')
    with pytest.raises(CheckpointError, match='not a readable checkpoint'):
        other.resume()


def test_a_loss_that_is_not_finite_stops_and_names_the_pictures(samples, tmp_path):
    trainer = Trainer(TINY, samples, {}, tmp_path)
    with torch.no_grad():
        trainer.model.class_head.predict[1].bias.fill_(float('nan'))
    with pytest.raises(TrainingFailed, match='iteration 0'):
        trainer.run(progress=False)
    assert json.loads((tmp_path / 'bad_batch.json').read_text())['images']


def test_norms_and_biases_are_not_decayed(samples, tmp_path):
    model = Trainer(TINY, samples, {}, tmp_path).model
    groups = parameter_groups(model, TINY)
    for group in groups:
        for parameter in group['params']:
            assert (group['weight_decay'] > 0) == (parameter.ndim > 1)
    assert sum(len(g['params']) for g in groups) == len(list(model.parameters()))


@pytest.mark.parametrize('changes', [
    {'precision': 'fp16'}, {'multi_scale': (0.5, 1.5), 'batch_size': 4},
    {'accumulate': 2, 'batch_size': 4, 'loss': LossRecipe(assignment='aligned')},
    {'frozen_stages': 3}, {'freeze_backbone_norms': False}, {'ema_decay': 0.0}],
    ids=str)
def test_every_option_trains_and_resumes_bit_for_bit(samples, tmp_path, monkeypatch, changes):
    recipe = dataclasses.replace(TINY, iterations=4, **changes)
    whole = Trainer(recipe, samples, {}, tmp_path / 'whole')
    before = weights_of(whole)
    whole.run(progress=False)
    assert not torch.equal(before['box_head.predict.1.weight'],
                           whole.model.state_dict()['box_head.predict.1.weight'])
    interrupt(Trainer(recipe, samples, {}, tmp_path / 'parts'), 2, monkeypatch)
    second = Trainer(recipe, samples, {}, tmp_path / 'parts')
    assert second.resume() and second.iteration == 2
    second.run(progress=False)
    expected, got = weights_of(whole), weights_of(second)
    assert all(torch.equal(expected[key], got[key]) for key in expected)
    for trainer in (whole, second):
        assert all(value.isfinite().all() for value in trainer.model.state_dict().values()
                   if value.is_floating_point())


@pytest.mark.parametrize('precision, device, expected', [
    ('auto', 'cpu', 'fp32'), ('fp32', 'cpu', 'fp32'), ('fp16', 'cpu', 'fp16'),
    ('bf16', 'cuda', 'bf16'), ('fp32', 'cuda', 'fp32')])
def test_precision_is_what_was_asked_for_or_fits_the_device(precision, device, expected):
    assert choose_precision(precision, torch.device(device)) == expected


def test_bf16_on_a_cpu_is_refused(samples, tmp_path):
    with pytest.raises(RecipeError, match='bf16 needs a GPU'):
        Trainer(dataclasses.replace(TINY, precision='bf16'), samples, {}, tmp_path)


def test_multi_scale_resizes_pictures_boxes_and_anchors_together(samples, tmp_path):
    recipe = dataclasses.replace(TINY, multi_scale=(0.5, 2.0))
    trainer = Trainer(recipe, samples, {}, tmp_path)
    inputs = trainer._inputs
    part = first_step(trainer, samples)[0]
    sizes = {inputs.size(i) for i in range(50)}
    assert sizes == {(64, 64), (96, 96), (128, 128)}
    same, targets = inputs.place(part, (64, 64))
    larger, scaled = inputs.place(part, (128, 96))
    assert larger.shape[2:] == (128, 96) and same.shape[2:] == (64, 64)
    factor = torch.tensor([1.5, 2, 1.5, 2])
    for a, b in zip(targets, scaled):
        assert torch.allclose(a.boxes * factor, b.boxes)
    assert len(inputs.loss((128, 96)).assign(scaled)[0]) == trainer.model(larger)[0].shape[1]


def test_an_image_that_cannot_be_read_is_named_once_and_replaced(tmp_path, capsys):
    root = write_pictures(tmp_path / 'data')
    (root / 'JPEGImages/2.png').write_bytes(b'no picture')
    trainer = Trainer(TINY, read_voc(root, 'train'), {}, tmp_path / 'run')
    trainer.run(progress=False)
    assert len(trainer.skipped) == 1
    printed = capsys.readouterr().err
    assert printed.count('2.png is not an image') == 1 and 'takes its place' in printed


def test_without_any_readable_image_training_fails_in_a_sentence(tmp_path):
    root = write_pictures(tmp_path / 'data')
    for picture in (root / 'JPEGImages').iterdir():
        picture.write_bytes(b'')
    with pytest.raises(DataError, match='None of the 6 images can be read'):
        Trainer(TINY, read_voc(root, 'train'), {}, tmp_path / 'run').run(progress=False)


def test_the_log_of_a_killed_run_is_cut_back_to_the_checkpoint(samples, run):
    with open(run / 'log.jsonl', 'a') as log:
        log.write('{"iteration": 7, "classes": 1}\n{"iteration": 8, "cla')
    trainer = Trainer(TINY, samples, {}, run)
    trainer.resume()
    trainer.run(progress=False)
    rows = [json.loads(line) for line in (run / 'log.jsonl').read_text().splitlines()]
    assert [row['iteration'] for row in rows if 'classes' in row] == [1, 2, 3, 4, 5, 6]


def test_weights_of_a_run_are_the_start_of_the_next(samples, tmp_path, whole_run):
    path = whole_run / 'run.last.safetensors'
    second = Trainer(dataclasses.replace(TINY, init=str(path)), samples, {}, tmp_path / 'second')
    model, _ = load_model(path)
    start = model.state_dict()
    assert all(torch.equal(value, second.model.state_dict()[key]) for key, value in start.items())
    third = Trainer(dataclasses.replace(TINY, init=str(path), start_share=0.25), samples, {},
                    tmp_path / 'third')
    third.run(progress=False)
    kept = load_model(tmp_path / 'third/third.last.safetensors')[0].state_dict()
    learned = third._ema.model.state_dict()
    assert any(not torch.equal(start[key], learned[key]) for key in start)
    for key in start:
        if start[key].is_floating_point():
            torch.testing.assert_close(kept[key], 0.75 * learned[key] + 0.25 * start[key])


def test_a_share_of_a_start_that_is_no_detector_of_these_classes_is_refused(samples, tmp_path):
    path = save_weights(tmp_path / 'other.safetensors', SSD(TINY.architecture, 1),
                        Metadata(('cube',), TINY.architecture))
    moved = dataclasses.replace(TINY.architecture, anchors=dataclasses.replace(
        TINY.architecture.anchors, base_scale=5.0))
    names = class_names(samples)
    anchors = save_weights(tmp_path / 'anchors.safetensors', SSD(moved, len(names)),
                           Metadata(names, moved))
    for init in ('random', str(path), str(anchors)):
        with pytest.raises(RecipeError, match='detector of the same classes'):
            Trainer(dataclasses.replace(TINY, init=init, start_share=0.5), samples, {}, tmp_path)


@pytest.mark.parametrize('text, message', [
    ('', 'must hold'), ('iterations: 5\nlerning_rate: 1', 'Did you mean "learning_rate"'),
    ('iterations: many', 'iterations'), ('iterations: 0', '"iterations" must be'),
    ('iterations: 5\narchitecture: {input_hw: [333, 333]}', 'input_hw'), ('a: [', 'YAML'),
    ('{}', 'iterations'), ('iterations: 5\n1: 2', 'Unknown key "1"'),
    ('iterations: 5\nclass_names: [a]\nloss: {negative_weights: [1.0, 2.0]}',
     'got 2 factors and 1 names'),
    ('iterations: 5\nclass_names: [a]\nloss: {negative_weights: [0.0]}', 'negative_weights')])
def test_a_wrong_recipe_is_one_sentence(tmp_path, text, message):
    path = tmp_path / 'r.yaml'
    path.write_text(text)
    with pytest.raises(RecipeError, match=message) as error:
        load_recipe(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize('override, message', [
    ('iterations', '--set takes key=value, got "iterations"'),
    ('iterations.more=1', '--set iterations.more=1: "iterations" has no keys below it, it is 5'),
    ('loss.assignment.weight=1', '"assignment" has no keys below it, it is iou'),
    ('iterations=[', r'--set iterations=\[: the value must be YAML'),
    ('loss.bax=giou', 'Unknown key "loss.bax"')])
def test_a_wrong_override_is_one_sentence(tmp_path, override, message):
    path = tmp_path / 'r.yaml'
    path.write_text('iterations: 5\nloss: {assignment: iou}')
    with pytest.raises(RecipeError, match=message):
        load_recipe(path, (override,))


def test_shipped_recipes_load_and_take_overrides():
    path = Path(__file__).resolve().parents[2] / 'config' / 'train' / 'rover.yaml'
    recipe = load_recipe(path, ('iterations=7', 'augmentation.mosaic=0.0'))
    assert recipe.iterations == 7 and recipe.augmentation.mosaic == 0
    assert recipe.class_names == ('cone', 'cube')


ALIASES = 'a0: &a0 [x, x]\n' + ''.join(
    f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 12))


@pytest.mark.parametrize('text, message', [
    (ALIASES, 'more than the 1000000 values'), ('[' * 20_000, 'nested too deeply'),
    ('a: *a', 'not valid YAML'), ('&a [*a]', 'refers to itself'), ('\x00', 'not valid YAML'),
    ('iterations: 1' + '0' * 5000, 'YAML'), ('x' * 1_000_001, 'longer than'),
    ('iterations: 5\n"\\x1b[31m": 1', r'Unknown key "\\x1b\[31m"'),
    ('iterations: 5\nseed: .nan', 'seed'), ('iterations: 5\nmomentum: .inf', 'momentum')])
def test_a_hostile_recipe_is_one_sentence_at_once(tmp_path, text, message):
    test_a_wrong_recipe_is_one_sentence(tmp_path, text, message)
    (tmp_path / 'good.yaml').write_text('iterations: 5')
    with pytest.raises(RecipeError, match=message if message == 'more than' else None):
        load_recipe(tmp_path / 'good.yaml', (f'loss={text}',))


@pytest.mark.parametrize('make', [lambda p: os.mkfifo(p), lambda p: p.symlink_to('/dev/zero'),
                                  lambda p: p.symlink_to(p), lambda p: p.mkdir()])
def test_what_is_no_file_is_no_recipe(tmp_path, make):
    make(tmp_path / 'r.yaml')
    with pytest.raises(RecipeError, match='r.yaml'):
        load_recipe(tmp_path / 'r.yaml')
    with pytest.raises(WeightsError, match='r.yaml'):
        load_model(tmp_path / 'r.yaml')


def test_links_in_the_folder_of_a_run_are_not_followed(samples, tmp_path, run, drawn):
    trainer = Trainer(TINY, samples, {}, run)
    precious = tmp_path / 'precious'
    precious.write_text('precious')
    for name in ('best', 'last'):
        path = getattr(trainer.folder, name)
        path.with_name(f'{path.name}.partial').symlink_to(precious)
    for name in ('checkpoint.pt.partial', 'log.jsonl.partial', 'bad_batch.json',
                 'curves.png.partial', 'curves.png', 'schedule.png'):
        (tmp_path / 'run' / name).unlink(missing_ok=True)
        (tmp_path / 'run' / name).symlink_to(precious)
    (tmp_path / 'run' / 'log.jsonl').unlink()
    (tmp_path / 'run' / 'log.jsonl').symlink_to(tmp_path / 'new')
    again = Trainer(dataclasses.replace(TINY, iterations=6), samples, {}, tmp_path / 'run')
    assert again.resume()
    with torch.no_grad():
        again.model.class_head.predict[1].bias.fill_(float('nan'))
    again.iteration = 3
    with pytest.raises(TrainingFailed):
        again.run(progress=False)
    assert precious.read_text() == 'precious' and not (tmp_path / 'new').exists()
    shutil.rmtree(tmp_path / 'run/tensorboard')
    (tmp_path / 'run/tensorboard').symlink_to(tmp_path)
    with pytest.raises(FileExistsError, match='tensorboard.* is a link; remove it'):
        again.run(progress=False)
    assert not list(tmp_path.glob('events*'))


def test_two_trainings_do_not_write_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, '_ENDED_WITHIN_S', 0.2)
    first, second = (run_folder.RunFolder(tmp_path / 'run', print) for _ in range(2))
    first.lock()
    with pytest.raises(DataError, match='Another training is writing .*run now'):
        second.open(TINY, 0)
    loader = os.dup(first._lock)  # as a forked one has it, which ends later
    first.close()
    second.lock()
    second.close()
    os.close(loader)
    assert not list((tmp_path / 'run').iterdir())


def test_a_folder_whose_name_is_no_utf8_is_trained_in_without_tensorboard(tmp_path):
    folder = run_folder.RunFolder(tmp_path / os.fsdecode(b'run\xff'), (said := []).append)
    folder.open(TINY, 0)
    folder.log({'iteration': 1, 'classes': 0.5})
    folder.close()
    assert len(folder.rows()) == 1 and ['stays empty: TensorBoard' in each for each in said] == [1]


def test_a_log_of_anything_is_read_as_far_as_it_is_one(samples, tmp_path, capsys, drawn):
    trainer = Trainer(TINY, samples, {}, tmp_path)
    (tmp_path / 'log.jsonl').write_bytes(
        b'7\n[]\n{"a": 1}\n\xff\xfe\n' + b'[' * 10 ** 5 + b'\n{"iteration": "x"}\n'
        b'{"iteration": 1' + b'0' * 5000 + b'}\n{"iteration": 0, "classes": 1}\n')
    assert trainer.folder.rows() == [{'iteration': 0, 'classes': 1}]
    trainer.folder.draw_curves()  # an older version's, say: no curves, but the run goes on
    assert 'curves.png could not be drawn' in capsys.readouterr().err


@pytest.mark.parametrize('change', [
    lambda state: state.pop('model'), lambda state: state.update(ema={}),
    lambda state: state.update(iteration='x'), lambda state: state.update(optimizer=[7])])
def test_a_checkpoint_of_other_content_is_refused_in_a_sentence(samples, run, change):
    path = run / 'checkpoint.pt'
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)
    with pytest.raises(CheckpointError, match='not a checkpoint of this package'):
        Trainer(TINY, samples, {}, run).resume()
    os.truncate(path, 10 ** 11)
    with pytest.raises(CheckpointError, match='at most'):
        Trainer(TINY, samples, {}, run).resume()
