"""The verb `detect`: every source gives its own result, and a bad one costs only itself."""

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from ssd_perception import __main__ as entry
from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import DataError
from ssd_perception.imaging.files import read_image
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.options import DetectorOptions
from ssd_perception.replay.detect import DetectOptions, run
from ssd_perception.replay.detection_folder import free_name

sys.path.insert(0, str(Path(__file__).parents[1] / 'data'))
from odd_jpegs import odd_jpegs
from small_sets import scene, write_pictures  # noqa: E402


class Stub(SimpleNamespace):
    """A detector that finds one cone, as wide as the picture is bright."""

    class_names = ('cone',)

    def __call__(self, image):
        return Detections([[0, 0, max(1, float(image.mean()) / 8), 10]], [0.9], [0])

    def describe(self):
        return 'a stub'


@pytest.fixture
def detect(tmp_path, capsys, monkeypatch):
    """Return a function that runs the verb; gives exit code, output, lines and the folder."""
    monkeypatch.setattr(Detector, 'from_weights', lambda *words, **options: Stub())

    def run(*words):
        out = tmp_path / 'out'
        code = entry.main(['detect', *map(str, words), '--out', str(out)])
        lines = out / 'detections.jsonl'
        rows = [json.loads(line) for line in lines.read_text().splitlines()] \
            if lines.is_file() else None
        return code, capsys.readouterr(), rows, out
    return run


def test_an_empty_folder_is_one_sentence(tmp_path, detect):
    (tmp_path / 'empty').mkdir()
    code, said, rows, out = detect(tmp_path / 'empty')
    assert code == 1 and 'No images (.jpg, .jpeg, .png, .webp' in said.err
    assert 'or videos (.mp4' in said.err
    assert rows is None and not out.exists()


def test_pictures_of_one_name_do_not_overwrite_each_other(tmp_path, detect):
    for folder in ('a', 'b', 'c/a'):
        write_pictures(tmp_path / folder, ['x'])
    cv2.imwrite(str(tmp_path / 'a/x.png'), scene(3))
    cv2.imwrite(str(tmp_path / 'a/X.JPEG'), scene(4))
    code, said, rows, out = detect(tmp_path / 'a', tmp_path / 'b', tmp_path / 'c/a/x.jpg',
                                   tmp_path / 'b/x.jpg')  # the last one is there already
    assert code == 0 and '5 images; results are in' in said.out
    names = [row['annotated'] for row in rows]
    assert len({name.lower() for name in names}) == 5 == len(list(out.glob('*.jpg')))
    assert {Path(row['picture']) for row in rows} == {
        tmp_path / 'a/X.JPEG', tmp_path / 'a/x.jpg', tmp_path / 'a/x.png', tmp_path / 'b/x.jpg',
        tmp_path / 'c/a/x.jpg'}
    for row in rows:  # each is annotated from its own picture
        source, drawn = (cv2.imread(str(path)).astype(int)
                         for path in (row['picture'], out / row['annotated']))
        assert np.abs(source[40:] - drawn[40:]).mean() < 8
    assert rows[0]['detections'][0]['class'] == 'cone'
    assert json.loads((out / 'summary.json').read_text())['detections'] == {'cone': 5}


@pytest.mark.parametrize('taken, name', [
    (set(), 'x.jpg'), ({'x.jpg'}, 'a_x.jpg'), ({'x.jpg', 'a_x.jpg'}, 'x_2.jpg'),
    ({'x.jpg', 'a_x.jpg', 'x_2.jpg'}, 'x_3.jpg')])
def test_free_names(taken, name):
    assert free_name(Path('/data/a/x.png'), '.jpg', taken) == name and name in taken


def test_long_names_leave_room_for_what_tells_them_apart():
    taken = set()
    for stem in ('x' * 250, '\u56fe' * 83):
        for ending in ('.jpg', '.png', '.ts'):
            name = free_name(Path('/data', 'f' * 200, stem + ending), '.webm', taken)
            assert len(os.fsencode(name)) <= 255
    assert len(taken) == 6


def test_an_unreadable_picture_is_named_and_skipped(tmp_path, detect):
    write_pictures(tmp_path / 'a', ['good'])
    (tmp_path / 'a/bad.jpg').write_bytes(b'x')
    code, said, rows, out = detect(tmp_path / 'a', tmp_path / 'gone.jpg')
    assert code == 1 and 'bad.jpg' in said.err and 'gone.jpg' in said.err
    assert [Path(row['picture']).name for row in rows] == ['good.jpg']
    assert len(json.loads((out / 'summary.json').read_text())['unreadable']) == 2


def test_an_earlier_result_stays_until_there_is_a_new_one(tmp_path, detect):
    write_pictures(tmp_path / 'a', ['good'])
    assert detect(tmp_path / 'a')[0] == 0
    (tmp_path / 'bad.jpg').write_bytes(b'x')
    code, said, rows, out = detect(tmp_path / 'bad.jpg')
    assert code == 1 and 'Nothing was written: none of the files could be read.' in said.err
    assert len(rows) == 1 and (out / 'good.jpg').is_file()
    code, said, rows, out = detect(out / 'good.jpg')
    assert code == 1 and 'good.jpg lies in' in said.err and (out / 'good.jpg').is_file()
    assert not list(tmp_path.glob('.out*'))


def test_a_folder_of_something_else_is_not_replaced(tmp_path, detect):
    write_pictures(tmp_path / 'out', ['mine'])
    code, said, rows, out = detect(tmp_path / 'out')
    assert code == 1 and 'is no earlier result' in said.err and (out / 'mine.jpg').is_file()


def test_videos_become_annotated_videos_and_a_line_per_frame(tmp_path, detect):
    av = pytest.importorskip('av')
    from ssd_perception.viz.video import write_video

    (tmp_path / 'a').mkdir()
    write_video(tmp_path / 'a/x.webm', [np.full((48, 64, 3), 8 * i, np.uint8) for i in range(30)],
                10)
    data = (tmp_path / 'a/x.webm').read_bytes()
    (tmp_path / 'a/half.webm').write_bytes(data[:len(data) // 2])
    (tmp_path / 'a/none.mp4').write_bytes(b'no video')
    write_pictures(tmp_path / 'a', ['x'])
    code, said, rows, out = detect(tmp_path / 'a')
    assert code == 1
    assert 'none.mp4 cannot be opened' in said.err and 'half.webm is damaged' in said.err
    whole = [row for row in rows if row.get('video', '').endswith('x.webm')]
    assert [row['frame'] for row in whole] == list(range(30))
    assert [row['seconds'] for row in whole] == pytest.approx(np.arange(30) / 10, abs=2e-3)
    widths = [row['detections'][0]['xyxy'][2] for row in whole]
    assert widths[29] > widths[15] > widths[2]  # each frame's own detections
    with av.open(str(out / 'x.webm')) as container:
        assert sum(1 for _ in container.decode(video=0)) == 30
    halves = sum(1 for row in rows if row.get('video', '').endswith('half.webm'))
    assert 0 < halves < 25 and f'{30 + halves} frames of 2 videos' in said.out
    assert (out / 'x.jpg').is_file() and (out / 'half.webm').is_file()


@pytest.mark.parametrize('name', [b'\xcd\xbc\xff.jpg', b'\xb4\xed.jpg',
                                  'Stra\u00dfe.jpg'.encode()])
def test_a_name_that_is_not_utf8_is_answered_and_read_back(tmp_path, detect, name):
    write_pictures(tmp_path / 'a', ['x', 'z'])
    (tmp_path / 'a/z.jpg').rename(tmp_path / 'a' / os.fsdecode(name))
    code, said, rows, out = detect(tmp_path / 'a')
    assert code == 0 and len(rows) == 2
    found = {os.fsencode(Path(row['picture']).name): row for row in rows}
    assert set(found) == {b'x.jpg', name}
    assert os.path.isfile(out / found[name]['annotated'])
    assert read_image(out / found[name]['annotated']).shape == (72, 96, 3)


def test_other_formats_are_answered_or_named(tmp_path, detect):
    write_pictures(tmp_path / 'a', ['x'])
    for suffix in ('webp', 'bmp', 'tiff', 'avif'):
        Image.fromarray(scene(1)).save(tmp_path / f'a/{suffix}.{suffix}')
    (tmp_path / 'a/phone.HEIC').write_bytes(b'x')
    (tmp_path / 'a/notes.txt').write_text('x')
    code, said, rows, out = detect(tmp_path / 'a')
    assert [Path(row['picture']).stem for row in rows] == ['avif', 'bmp', 'tiff', 'webp', 'x']
    assert code == 1 and said.err.count('phone.HEIC is left out: HEIC is not read') == 1
    assert json.loads((out / 'summary.json').read_text())['unreadable'][0].count('HEIC') == 2


@pytest.mark.parametrize('content, says', [
    (b'DDS |\0\0\0' + bytes(200), 'is not an image'), (b'', 'is not an image'),
    (cv2.imencode('.png', np.zeros((1, 70_000), np.uint8))[1].tobytes(), 'claims more than'),
    (b'version https://git-lfs.github.com/spec/v1\n', 'is a pointer of Git LFS')])
def test_one_bad_file_is_named_and_the_others_answered(tmp_path, detect, content, says):
    write_pictures(tmp_path / 'a', ['x', 'z'])
    (tmp_path / 'a/y.jpg').write_bytes(content)
    code, said, rows, out = detect(tmp_path / 'a')
    assert code == 1 and len(rows) == 2 and f'y.jpg {says}' in said.err.replace('\n', ' ')


def test_odd_jpegs_are_answered_and_a_texture_of_that_name_is_named(tmp_path, detect):
    (tmp_path / 'a').mkdir()
    odd = odd_jpegs(scene(1))
    for name, data in odd.items():
        (tmp_path / f'a/{name}.jpg').write_bytes(data)
    (tmp_path / 'a/texture.jpg').write_bytes(b'DDS |\0\0\0' + bytes(200))
    code, said, rows, _ = detect(tmp_path / 'a')
    assert code == 1 and {Path(row['picture']).stem for row in rows} == odd.keys()
    assert 'texture.jpg is not an image' in said.err and said.err.count('is not an image') == 1


def test_a_full_disk_is_named_with_the_folder(tmp_path, detect, monkeypatch):
    write_pictures(tmp_path / 'a', ['x'])

    def full(*arguments):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(Path, 'write_bytes', full)
    code, said, rows, out = detect(tmp_path / 'a')
    assert code == 1 and not out.exists()
    assert f'{out} could not be written (No space left on device): make room there' in said.err


def test_links_and_remains_in_the_way_of_the_results(tmp_path, detect, monkeypatch):
    write_pictures(tmp_path / 'a', ['x'])
    monkeypatch.setattr(os, 'getpid', lambda: 7)  # in a container it comes again and again
    code, _, _, out = detect(tmp_path / 'a')
    assert code == 0
    (tmp_path / 'elsewhere').mkdir()
    for name in ('.0.partial', '.1.old', '.2.partial'):
        out.with_name(f'.{out.name}.7{name}').symlink_to(tmp_path / 'elsewhere')
    shutil.rmtree(out)
    out.symlink_to(tmp_path / 'elsewhere')
    assert detect(tmp_path / 'a')[0] == 0 and not out.is_symlink()
    assert not list((tmp_path / 'elsewhere').iterdir())
    assert len(list(out.parent.glob('.*'))) == 3
    shutil.rmtree(out)
    out.symlink_to(tmp_path / 'nowhere')
    code, said, _, _ = detect(tmp_path / 'a')
    assert code == 1 and 'is a link that leads nowhere' in said.err


@pytest.mark.parametrize('source, says', [
    ('0', '0 is a camera, and detect reads files'),
    ('/dev/video9', '/dev/video9 is a camera'),
    ('{root}/hei', 'There is no file or folder .*/hei. Did you mean .*/heic.$'),
    ('{root}/heic', 'formats that are not read, such as phone.HEIC: convert'),
    ('{root}', 'No images .* folders inside are left out')])
def test_what_is_no_image_is_answered_before_the_detector_is_loaded(tmp_path, source, says):
    (tmp_path / 'heic').mkdir()
    (tmp_path / 'heic/phone.HEIC').write_bytes(b'x')
    options = DetectOptions([Path(source.format(root=tmp_path))], tmp_path / 'out',
                            DetectorOptions(weights='/nowhere'))
    with pytest.raises(DataError, match=says):
        run(options)
