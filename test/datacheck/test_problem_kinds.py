"""Every kind of problem is found in a data set that has it, and names its file."""

import json
import shutil
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image
from small_sets import coco, scene, write_coco, write_pictures, write_voc, write_yolo, xml

from ssd_perception.core.errors import DataError
from ssd_perception.core.metadata import Architecture, Preprocessing
from ssd_perception.datacheck.check import check_dataset
from ssd_perception.datacheck.checks import RARE
from ssd_perception.datacheck.problems import KINDS, Problem

BOX = (20, 10, 70, 60)
SMALL = Architecture(input_hw=(96, 96))  # the pictures, 96 x 72, are placed as they are


def run(*folders, names=(), recipe_names=(), **options):
    return check_dataset(folders, names, SMALL, Preprocessing(), recipe_names, processes=0,
                         **options)


def good(train=RARE, val=2):
    """Return splits in which nothing is wrong."""
    return {'train': {f'a{i}': [('cone', BOX)] for i in range(train)},
            'val': {f'b{i}': [('cone', BOX)] for i in range(val)}}


def test_nothing_is_wrong_with_good_data(tmp_path):
    splits = good()
    splits['val'] |= {'negative': []}
    splits['trainval'] = splits['train'] | splits['val']  # joins others: no leak
    found = run(write_voc(tmp_path / 'd', splits), recipe_names=('cone',))
    assert found.problems == [] and found.errors == 0 and found.suggestion is None
    assert [split.label for split in found.splits] == ['d/train', 'd/val']
    assert found.coverage['d/train'].covered == 1.0 and len(found.placed['d/val']) == 2


def objects(*items):
    """Return how to give the first validation picture these objects."""
    return lambda root: (root / 'Annotations/b0.xml').write_text(xml(items))


def replaced(name, content):
    """Return how to overwrite a file."""
    return lambda root: (root / name).write_bytes(content(root / name))


def listed(split, name):
    """Return how to add a name to a split."""
    def change(root):
        with open(root / f'ImageSets/Main/{split}.txt', 'a') as file:
            file.write(f'{name}\n')
    return change


def turned(root):
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(scene(9)).save(root / 'JPEGImages/b0.jpg', exif=exif)


def darker(root):
    image = cv2.imread(str(root / 'JPEGImages/a1.jpg'))
    cv2.imwrite(str(root / 'JPEGImages/b0.jpg'), cv2.convertScaleAbs(image, alpha=0.9))


def twice_darker(root):
    image = cv2.imread(str(root / 'JPEGImages/a1.jpg'))
    for name, alpha in (('a2', 0.9), ('a3', 0.95)):
        cv2.imwrite(str(root / f'JPEGImages/{name}.jpg'), cv2.convertScaleAbs(image, alpha=alpha))


def counting(root):
    for i in range(20):
        (root / f'Annotations/a{i}.xml').write_text(xml([('cone', (1, 10, 70, 60))]))


def nine(root):
    shutil.rmtree(root)
    write_loose(root, {f'a{i}': [('cone', BOX)] for i in range(9)})


def corners(root):
    """Write x_min y_min x_max y_max into YOLO's files, here 60 40 90 70."""
    shutil.rmtree(root)
    boxes = {split: {f'{split}{i}': [('cone', (15, 5, 105, 75))] for i in range(count)}
             for split, count in (('train', 20), ('val', 2))}
    write_yolo(root, boxes)


def write_loose(root, pictures):
    write_pictures(root, pictures)
    for name, objects in pictures.items():
        (root / f'{name}.xml').write_text(xml(objects))
    return root


def twelve_bits(root):
    image = cv2.cvtColor(scene(9), cv2.COLOR_BGR2GRAY).astype(np.uint16) * 16
    (root / 'JPEGImages/b0.jpg').write_bytes(cv2.imencode('.png', image)[1].tobytes())


def copy(first, second):
    return lambda root: shutil.copy(root / first, root / second)


CASES = {
    'unreadable annotation': (replaced('Annotations/b0.xml', lambda p: b'<annot'), 'b0.xml'),
    'missing picture': (lambda root: (root / 'JPEGImages/b0.jpg').unlink(), 'b0.jpg'),
    'unreadable picture': (replaced('JPEGImages/b0.jpg', lambda p: b'x'), 'b0.jpg'),
    'truncated picture': (replaced('JPEGImages/b0.jpg', lambda p: p.read_bytes()[:-200]),
                          'b0.jpg'),
    'degenerate box': (objects(('cone', BOX), ('cone', (5, 5, 5, 9))), 'b0.xml'),
    'box outside': (objects(('cone', BOX), ('cone', (96, 5, 120, 30))), 'b0.xml'),
    'size differs': (lambda root: (root / 'Annotations/b0.xml').write_text(
        xml([('cone', BOX)], (72, 96))), 'b0.xml'),
    'unknown class': (objects(('cone', BOX), ('dog', (5, 5, 40, 40))), 'b0.xml'),
    'no objects': (lambda root: [(root / f'Annotations/b{i}.xml').write_text(xml())
                                 for i in range(2)], 'd'),
    'in two splits': (listed('val', 'a1'), 'a1.jpg'),
    'same picture in two splits': (copy('JPEGImages/a1.jpg', 'JPEGImages/b0.jpg'), 'b0.jpg'),
    'near-duplicate across splits': (darker, 'b0.jpg'),
    'near-duplicates within a split': (twice_darker, 'a1.jpg'),
    'same picture twice': (copy('JPEGImages/a1.jpg', 'JPEGImages/a2.jpg'), 'a2.jpg'),
    'listed twice': (listed('val', 'b1'), 'b1.jpg'),
    'box over the edge': (objects(('cone', (-4, 10, 70, 60))), 'b0.xml'),
    'tiny object': (objects(('cone', BOX), ('cone', (5, 5, 40, 8))), 'b0.xml'),
    'crowded picture': (objects(*[('cone', (x, y, x + 5, y + 5)) for x in range(0, 72, 6)
                                  for y in range(0, 60, 6)]), 'b0.xml'),
    'duplicate box': (objects(('cone', BOX), ('cone', (20, 10, 70, 59.5))), 'b0.xml'),
    'two classes on one object': (objects(('cone', BOX), ('cube', BOX)), 'b0.xml'),
    'EXIF rotation': (turned, 'b0.jpg'),
    'dark picture': (twelve_bits, 'b0.jpg'),
    'many without objects': (lambda root: [(root / f'Annotations/a{i}.xml').write_text(xml())
                                           for i in range(26)], 'd'),
    'rare class': (lambda root: (root / 'Annotations/a0.xml').write_text(xml()), 'd'),
    'class never trained': (objects(('cube', BOX)), 'd'),
    'similar class names': (objects(('Cone ', BOX)), 'd'),
    'no validation images': (nine, 'd'),
    'corners as sizes': (corners, 'd'),
    'boxes count from 1': (counting, 'd'),
    'low anchor coverage': (lambda root: [(root / f'Annotations/a{i}.xml').write_text(
        xml([('cone', (10, 10, 20, 21))])) for i in range(RARE)], 'd'),
    'pictures in no split': (copy('JPEGImages/a1.jpg', 'JPEGImages/extra.png'), 'JPEGImages'),
}


def test_there_is_a_case_for_every_kind():
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize('kind', CASES)
def test_every_kind_is_found_and_names_its_file(tmp_path, kind):
    change, file = CASES[kind]
    root = write_voc(tmp_path / 'd', good())
    change(root)
    found = run(root, recipe_names=('cone',) if kind == 'unknown class' else ())
    problems = [problem for problem in found.problems if problem.kind == kind]
    assert len(problems) == 1, [p.row() for p in found.problems]
    assert problems[0].file.name == file and problems[0].detail
    assert problems[0].row().severity == ('error' if KINDS[kind].error else 'warning')
    # An error shows in the count; a warning alone does not.
    assert (found.errors > 0) == (kind in ('size differs',) or KINDS[kind].error)


def test_details_say_how_many_and_where(tmp_path):
    root = write_voc(tmp_path / 'd', {'train': {'a': [
        ('cone', BOX), ('cone', (-9, 0, 20, 20)), ('cube', (80, 60, 99, 75)), ('cone', BOX)]}})
    details = {p.kind: p.detail for p in run(root).problems}
    assert '9.0 px over the edge of 96x72 (2 such boxes)' in details['box over the edge']
    assert details['duplicate box'] == 'cone at (20, 10, 70, 60)'


def test_a_picture_whose_annotation_is_bad_is_in_a_split_all_the_same(tmp_path):
    root = write_voc(tmp_path / 'd', good())
    (root / 'Annotations/b0.xml').write_text('')
    cv2.imwrite(str(tmp_path / 'beside.png'), scene(1))
    assert [problem.kind for problem in run(root).problems] == ['unreadable annotation']


def test_the_only_split_is_trained_on_whatever_its_name(tmp_path):
    write_loose(tmp_path / 'd', {f'a{i}': [('cone', BOX)] for i in range(12)})
    assert [problem.kind for problem in run(tmp_path / 'd').problems] == ['rare class']


def test_a_split_beside_train_is_not_trained_on(tmp_path):
    splits = good() | {'field': {'c': [('cone', BOX), ('cube', (5, 5, 40, 40))]}}
    problem, = run(write_voc(tmp_path / 'd', splits)).problems
    assert problem.kind == 'class never trained' and problem.detail.endswith('is not in d/train')


def test_missing_files_are_one_problem_where_all_are_missing(tmp_path):
    (root := tmp_path / 'd').mkdir()
    (root / 'obj.data').write_text('train = data/train.txt\nnames = data/obj.names\n')
    (root / 'obj.names').write_text('cone')
    (root / 'train.txt').write_text('data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n')
    problem, = run(root).problems
    assert problem.kind == 'missing picture' and 'with "Save images"' in problem.detail
    root = write_yolo(tmp_path / 'e', {'train': {'a': []}})
    problem, = (p for p in run(root).problems if p.kind == 'no objects')
    assert 'no file of labels' in problem.detail


def test_a_pair_names_both_pictures(tmp_path):
    root = write_voc(tmp_path / 'd', good())
    darker(root)
    pair, = (p for p in run(root).problems if p.kind == 'near-duplicate across splits')
    assert (pair.file.name, pair.other.name, pair.split) == ('b0.jpg', 'a1.jpg', 'd/val')


def test_two_folders_train_together(tmp_path):
    # The same picture in the train splits of two folders is twice in training, and no leak.
    for name in 'de':
        write_voc(tmp_path / name, {'train': {f'{name}{i}': [('cone', BOX)] for i in range(30)}})
    shutil.copy(tmp_path / 'd/JPEGImages/d1.jpg', tmp_path / 'e/JPEGImages/e1.jpg')
    found = run(tmp_path / 'd', tmp_path / 'e')
    assert Counter(p.kind for p in found.problems) == {'same picture twice': 1}
    with pytest.raises(DataError, match='same name'):
        run(tmp_path / 'd', tmp_path / 'd')


def test_a_folder_of_negatives_beside_another_is_no_error(tmp_path):
    write_voc(tmp_path / 'd', good())
    write_voc(tmp_path / 'e', {'train': {f'e{i}': [] for i in range(3)}})
    assert run(tmp_path / 'd', tmp_path / 'e').errors == 0
    assert [p.kind for p in run(tmp_path / 'e').problems if p.error] == ['no objects']


def test_a_coco_set_is_checked_alike(tmp_path):
    splits = good()
    splits['train']['a0'] = [('cone', BOX), ('cone', (5, 5, 5, 9)), ('cone', (90, 60, 200, 200))]
    root = write_coco(tmp_path / 'd', splits)
    (root / 'train/a1.jpg').write_bytes(b'x')
    write_pictures(root / 'train', ['extra'])
    found = run(root)
    assert Counter(p.kind for p in found.problems) == {
        'unreadable picture': 1, 'degenerate box': 1, 'box over the edge': 1,
        'pictures in no split': 1}
    kinds = {p.kind: p for p in found.problems}
    assert kinds['degenerate box'].file.name == 'instances_train.json'
    assert 'a0.jpg' in kinds['degenerate box'].detail
    assert kinds['box over the edge'].other.name == 'a0.jpg'


def test_a_split_that_cannot_be_read_is_a_problem_and_not_the_end(tmp_path):
    root = write_coco(tmp_path / 'd', good())
    (root / 'annotations/instances_val.json').write_text('{')
    found = run(root)
    problem, = (p for p in found.problems if p.error)
    assert problem.kind == 'unreadable annotation' and problem.file.name == 'instances_val.json'
    assert [len(split.samples) for split in found.splits] == [RARE, 0]
    (root / 'annotations/instances_val.json').write_text(json.dumps(coco({'gone': []})))
    assert Counter(p.kind for p in run(root).problems if p.error) == {'missing picture': 1}


def test_a_folder_without_any_known_layout_is_refused(tmp_path):
    with pytest.raises(DataError, match='looked for ImageSets/Main/train.txt'):
        run(tmp_path)
    root = write_voc(tmp_path / 'd', good())
    with pytest.raises(DataError, match='no split "test"'):
        run(root, names=['test'])
    assert [s.name for s in run(root, names=['val', 'test']).splits] == ['val']


def test_a_split_without_a_good_picture_still_has_its_figures(tmp_path):
    root = write_voc(tmp_path / 'd', {'train': {'a': []}})
    (root / 'JPEGImages/a.jpg').write_bytes(b'')
    found = run(root)
    assert found.coverage['d/train'].covered is None
    assert np.shape(found.placed['d/train']) == (0, 4) and found.errors == 2


def test_problems_are_plain_texts(tmp_path):
    row = Problem.from_error(DataError('no file is named'), 'd/train', tmp_path).row()._asdict()
    assert row['file'] == str(tmp_path) and json.loads(json.dumps(row)) == row
