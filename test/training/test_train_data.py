"""What `train` begins with and sees: `--init`, `--repeat` and `--negatives`."""

import shutil

import pytest
from safetensors.numpy import load_file
from tiny import YAML, write_pictures

from ssd_perception.__main__ import main
from ssd_perception.training import run
from ssd_perception.training.dataset import describe_loader_failure


@pytest.fixture
def data(tmp_path):
    root = write_pictures(tmp_path / 'data')
    shutil.copy(root / 'ImageSets/Main/train.txt', root / 'ImageSets/Main/val.txt')
    return root


def train(tmp_path, data, name, *more):
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text(YAML.format(iterations=2, every=2))
    code = main(['train', str(recipe), '--data', str(data), '--out', str(tmp_path / name),
                 '--device', 'cpu', *more])
    return code, tmp_path / name / f'{name}.last.safetensors'


def test_it_goes_on_from_weights(tmp_path, data):
    code, first = train(tmp_path, data, 'first')
    assert code == 0
    code, second = train(tmp_path, data, 'second', '--init', str(first), '--set',
                         'learning_rate=1.0e-7', 'seed=5')
    assert code == 0
    code, other = train(tmp_path, data, 'other', '--init', 'random', '--set',
                        'learning_rate=1.0e-7', 'seed=5')
    assert code == 0
    start, end, random = (load_file(path) for path in (first, second, other))
    key = 'class_head.predict.1.weight'  # drawn at random where nothing is gone on from
    assert abs(end[key] - start[key]).max() < 1e-4 < abs(random[key] - start[key]).max()


@pytest.mark.parametrize('changes, backbone', [((), 'none'), (('init_backbone=imagenet',),
                                                             'imagenet')])
def test_other_weights_bring_their_backbone_unless_the_command_names_one(tmp_path, changes,
                                                                         backbone):
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text(YAML.format(iterations=2, every=2) + 'init_backbone: lite\n')
    options = run.TrainOptions([tmp_path], tmp_path / 'run', recipe, changes, 'random')
    assert run._recipe(options, None, ('cone',), 'cpu', print)[0].init_backbone == backbone


def test_weights_that_are_not_there_are_one_sentence(tmp_path, data, capsys):
    code, _ = train(tmp_path, data, 'run', '--init', '/nowhere.safetensors')
    assert code == 1 and not (tmp_path / 'run').exists()
    error = capsys.readouterr().err
    assert '/nowhere.safetensors' in error and error.count('\n') == 1


@pytest.mark.parametrize('repeat, says', [
    (['3'], None), (['3', '1'], 'for each of the 1 folders'), (['0'], 'a number from 1 on')])
def test_a_folder_counts_several_times(tmp_path, data, capsys, repeat, says):
    code, _ = train(tmp_path, data, 'run', '--repeat', *repeat)
    printed = capsys.readouterr()
    if says is None:
        assert code == 0 and 'Training on 18 images' in printed.out
        # The fixture's splits are one.
        assert '6 of the 6 validation images of data are trained on too' in printed.err
    else:
        assert code == 1 and says in printed.err and printed.err.count('\n') == 1


def test_pictures_of_other_things_join_without_their_objects(tmp_path, data, capsys):
    street = write_pictures(tmp_path / 'street', 2)
    for path in (street / 'Annotations').iterdir():
        path.write_text(path.read_text().replace('cone', 'bus'))
    code, _ = train(tmp_path, data, 'run', '--negatives', f'{street}:train', '--set',
                    'augmentation.recolour_empty=1.0')
    assert code == 0 and 'Training on 8 images (cone)' in capsys.readouterr().out
    code, _ = train(tmp_path, data, 'other', '--negatives', f'{street}:night')
    error = capsys.readouterr().err
    assert code == 1 and 'night' in error and error.count('\n') == 1


def test_a_class_that_only_validation_holds_is_named_and_measured(tmp_path, data, capsys):
    rows = (data / 'ImageSets/Main/train.txt').read_text().split()
    (data / 'ImageSets/Main/train.txt').write_text('\n'.join(rows[:4]))
    (data / 'ImageSets/Main/val.txt').write_text('\n'.join(rows[4:]))
    annotation = data / f'Annotations/{rows[5]}.xml'
    annotation.write_text(annotation.read_text().replace('cone', 'cube'))
    code, _ = train(tmp_path, data, 'run', '--set', 'class_names=[]')
    assert code == 0 and 'No training image holds cube' in capsys.readouterr().err
    # A recipe that leaves it out is refused before the training, not at its first measurement.
    code, _ = train(tmp_path, data, 'other', '--set', 'class_names=[cone]')
    assert code == 1 and 'class "cube" is not one of cone' in capsys.readouterr().err
    assert not (tmp_path / 'other').exists()


def test_without_validation_images_the_last_weights_have_the_name(tmp_path, data, capsys):
    (data / 'ImageSets/Main/val.txt').unlink()
    code, last = train(tmp_path, data, 'run')
    said = capsys.readouterr()
    assert code == 0 and 'no validation images' in said.out
    assert 'are set aside only from 10 on' in said.err
    named = load_file(tmp_path / 'run/run.safetensors')
    assert all((value == named[key]).all() for key, value in load_file(last).items())


@pytest.mark.parametrize('message, remedy', [
    ('DataLoader worker (pid 7) was ended: Bus error', 'more (docker run --shm-size'),
    ('DataLoader worker (pid 7) exited unexpectedly with exit code 77. Details are lost',
     'more (docker run --shm-size'),
    ('DataLoader worker (pid 7) is killed by signal: Killed.', 'lower workers'),
    ('CUDA error', '')])
def test_a_loader_process_that_died_is_described_with_its_remedy(message, remedy):
    sentence = describe_loader_failure(RuntimeError(message))
    assert remedy in sentence and bool(remedy) == bool(sentence)
