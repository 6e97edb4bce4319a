"""The verb `check_data`: exit code, summary, report; real sets pass."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

pytest.importorskip('torch')

from ssd_perception import __main__ as entry  # noqa: E402
from ssd_perception.datacheck.augmented_samples import augmented_samples  # noqa: E402
from ssd_perception.training.recipe import Recipe  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / 'data'))
from small_sets import write_coco, write_voc, write_yolo, xml  # noqa: E402

BOX = (20, 10, 70, 60)
DATASETS = Path(__file__).parents[2] / '../shared/datasets'
RECIPE = ('iterations: 10\nclass_names: [cone, cube]\narchitecture: {input_hw: [64, 64]}\n'
          'augmentation: {mosaic: 0.5}\n')


@pytest.fixture
def check(tmp_path, capsys):
    """Return a function that runs the verb; gives exit code, stdout and the report folder."""
    def run(*words):
        code = entry.main(['check_data', *map(str, words), '--out', str(tmp_path / 'report')])
        return code, capsys.readouterr(), tmp_path / 'report'
    return run


def good(count=6):
    return {'train': {f'a{i}': [('cone', BOX), ('cube', (5, 5, 40, 40))] for i in range(count)},
            'val': {'b': [('cone', BOX)], 'negative': []}}


@pytest.mark.parametrize('write', [write_voc, write_coco, write_yolo])
def test_good_data_pass_with_warnings_alone(tmp_path, check, write):
    code, said, report = check(write(tmp_path / 'd', good()))
    assert code == 0
    assert 'd/train: 6 images (0 without objects), 12 objects\n  cone 6, cube 6\n' in said.out
    assert 'd/val: 2 images (1 without objects), 1 object\n' in said.out
    assert 'at 320x256: ' in said.out  # the input that train plans for 96x72 px
    reason = '320x256 is the input that train plans: images of 1.33 width / height; a tenth'
    assert reason in said.out and reason in (report / 'report.html').read_text()
    assert 'warning: rare class, 2' in said.out and 'ERROR' not in said.out
    assert f'0 errors, 2 warnings; see {report}/report.html.' in said.out
    figures = json.loads((report / 'data_report.json').read_text())
    assert figures['errors'] == 0 and figures['splits']['d/train']['objects'] == {
        'cone': 6, 'cube': 6}
    page = (report / 'report.html').read_text()
    assert page.count('<svg') >= 3 and 'src="http' not in page and '<script' not in page
    sheet = cv2.imread(str(report / 'samples.jpg'))
    assert 6 * 240 < sheet.shape[0] < 6 * 300 and sheet.shape[1] > 5 * 300


def test_bad_files_are_named_everywhere_and_fail_the_check(tmp_path, check):
    splits = good()
    splits['train']['a0'] = [('cone', BOX), ('dog', (300, 300, 400, 400))]
    root = write_voc(tmp_path / 'd', splits)
    (root / 'Annotations/a1.xml').write_text('<x')
    (root / 'JPEGImages/a2.jpg').write_bytes(b'x')
    (tmp_path / 'recipe.yaml').write_text(RECIPE)
    code, said, report = check(root, '--recipe', tmp_path / 'recipe.yaml')
    assert code == 1
    rows = json.loads((report / 'problems.json').read_text())
    errors = {(row['kind'], Path(row['file']).name) for row in rows if row['severity'] == 'error'}
    assert errors == {('unreadable annotation', 'a1.xml'), ('unreadable picture', 'a2.jpg'),
                      ('box outside', 'a0.xml'), ('unknown class', 'a0.xml')}
    with open(report / 'problems.csv', newline='') as file:
        assert list(csv.DictReader(file)) == rows
    page = (report / 'report.html').read_text()
    for kind, name in errors:
        assert f'ERROR: {kind}, 1' in said.out and name in said.out
        assert kind in page and name in page
    assert 'cannot be decoded' not in said.err and '4 errors' in said.out


def test_low_coverage_comes_with_anchors_that_a_recipe_accepts(tmp_path, check):
    thin = {'train': {f'a{i}': [('cone', (10 + i, 5, 18 + i, 65))] for i in range(40)}}
    root = write_voc(tmp_path / 'd', thin)
    (tmp_path / 'recipe.yaml').write_text(RECIPE)
    code, said, report = check(root, '--recipe', tmp_path / 'recipe.yaml')
    assert code == 0 and 'warning: low anchor coverage, 1' in said.out
    lines = said.out.split('architecture:\n')[1].splitlines()[:4]
    (tmp_path / 'better.yaml').write_text(
        'iterations: 10\nclass_names: [cone]\narchitecture:\n  input_hw: [64, 64]\n'
        + '\n'.join(line[2:] for line in lines) + '\n')
    before = json.loads((report / 'data_report.json').read_text())
    code, said, report = check(root, '--recipe', tmp_path / 'better.yaml')
    after = json.loads((report / 'data_report.json').read_text())
    promised = before['suggested_anchors']['anchor_coverage']
    assert after['splits']['d/train']['anchor_coverage'] == pytest.approx(promised, abs=0.02)
    assert promised > before['splits']['d/train']['anchor_coverage'] + 0.3


@pytest.mark.parametrize('words, says', [
    (['{root}/nothing'], 'There is no folder'),
    (['{root}/d', '--splits', 'test'], 'no split "test"'),
    (['{root}/d', '--recipe', '{root}/gone.yaml'], 'gone.yaml cannot be opened'),
    (['{root}/d', '--set', 'iterations=1'], 'give one with --recipe')])
def test_wrong_input_is_one_sentence_and_writes_nothing(tmp_path, check, words, says):
    write_voc(tmp_path / 'd', good(2))
    code, said, report = check(*[word.format(root=tmp_path) for word in words])
    assert code == 1 and not report.exists()
    assert says in said.err.splitlines()[-1]


def test_a_folder_of_something_else_is_not_replaced(tmp_path, check):
    (tmp_path / 'report').mkdir()
    (tmp_path / 'report/thesis.txt').write_text('mine')
    code, said, _ = check(write_voc(tmp_path / 'd', good(2)))
    assert code == 1 and 'is no earlier result' in said.err
    assert (tmp_path / 'report/thesis.txt').read_text() == 'mine'


def test_there_is_no_sheet_of_no_samples():
    assert augmented_samples([], ('cone',), Recipe(iterations=1)) is None


@pytest.mark.parametrize('name, splits', [
    ('cone_cube', ('train', 'val')), ('cat_dog', ('train', 'val')),
    ('coco_voc20', ('train', 'test'))])
@pytest.mark.slow
def test_real_sets_pass(tmp_path, name, splits):
    if not (DATASETS / name).is_dir():
        pytest.skip('no data')
    done = subprocess.run(
        [sys.executable, '-m', 'ssd_perception', 'check_data', DATASETS / name, '--out',
         tmp_path / 'report'], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / 'report/data_report.json').read_text())
    assert list(figures['splits']) == [f'{name}/{split}' for split in splits]
    assert figures['errors'] == 0


def test_names_that_are_not_utf8_are_checked_and_read_back(tmp_path, check):
    root = write_voc(tmp_path / 'd', good())
    name = os.fsdecode(b'\xcd\xbc\xff')
    for folder, suffix in (('JPEGImages', '.jpg'), ('Annotations', '.xml')):
        (root / folder / f'a0{suffix}').rename(root / folder / f'{name}{suffix}')
    (root / f'Annotations/{name}.xml').write_text(xml([('cone', (300, 300, 400, 400))]))
    listing = (root / 'ImageSets/Main/train.txt')
    listing.write_bytes(listing.read_bytes().replace(b'a0', b'\xcd\xbc\xff'))
    code, said, report = check(root)
    assert code == 1 and 'ERROR: box outside, 1' in said.out
    row, = (row for row in json.loads((report / 'problems.json').read_text())
            if row['kind'] == 'box outside')
    assert os.fsencode(Path(row['file']).name) == b'\xcd\xbc\xff.xml'
    assert '\\udcff.xml' in (report / 'problems.csv').read_text(encoding='utf-8')
    assert '\\udcff' in (report / 'report.html').read_text(encoding='utf-8')
    assert (report / 'samples.jpg').is_file()


def test_an_image_of_two_splits_and_a_split_with_escapes_are_shown(tmp_path, check):
    name = '\x1b[31m'
    root = write_voc(tmp_path / 'd', {name: {'a': [('cone', BOX)]}})
    listing = root / f'ImageSets/Main/{name}.txt'
    listing.with_name('b.txt').write_bytes(listing.read_bytes())
    code, said, report = check(root)
    assert code == 1 and 'd/\\x1b[31m: 1 image' in said.out and name not in said.out + said.err
    assert cv2.imread(str(report / 'samples.jpg')).shape[1] > 5 * 300


def test_a_name_is_no_formula_in_the_table(tmp_path, check, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write_voc(tmp_path / '=1+2', {'train': {'a': [('cone', BOX)]}})
    (root / 'JPEGImages/a.jpg').write_bytes(b'')
    _, _, report = check('=1+2')
    cells = [cell for row in csv.reader((report / 'problems.csv').read_text().splitlines())
             for cell in row]
    assert "'=1+2/train" in cells and not any(cell.startswith(tuple('=+-@')) for cell in cells)


@pytest.mark.timeout(120)  # half an hour while pairs of boxes and of labels were compared singly
def test_thousands_of_equal_boxes_are_counted(tmp_path, check):
    code, said, _ = check(write_voc(tmp_path / 'd', {'train': {
        'a': [('cone', BOX)] * 3000 + [('cube', BOX)]}}))
    assert f'({3000 * 2999 // 2} such pairs)' in said.out and '(3000 such pairs)' in said.out


def test_formats_that_are_not_read_are_named(tmp_path, check):
    root = write_voc(tmp_path / 'd', good())
    (root / 'JPEGImages/phone.HEIC').write_bytes(b'x')
    code, said, _ = check(root)
    assert code == 1 and 'phone.HEIC: HEIC is not read; convert it to JPEG or PNG' in said.out


def test_what_is_checked_is_said(tmp_path, check):
    root = write_yolo(tmp_path / 'd', good())
    _, said, _ = check(root)
    assert f'Checking {root}, split "train" (YOLO, data.yaml).' in said.out
