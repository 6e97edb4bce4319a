"""A run's result folder: figures, pictures, page; complete or not there."""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip('av')

from ssd_perception.core.detections import Detections, GroundTruth  # noqa: E402
from ssd_perception.core.result_folder import result_folder  # noqa: E402
from ssd_perception.imaging.files import read_image  # noqa: E402
from ssd_perception.live.live_table import LiveTable  # noqa: E402
from ssd_perception.live.run_result import AgeFigures, SeenFrame, summarise  # noqa: E402
from ssd_perception.live.summary import frame_rate, write_summary  # noqa: E402
from ssd_perception.viz.contact_sheet import contact_sheet, spread  # noqa: E402
from ssd_perception.viz.video import write_video  # noqa: E402

NAMES = ['cone', 'cube']


def frame(index, answered=True, size=(64, 48)):
    image = np.full((size[1], size[0], 3), 40 + index, np.uint8)
    found = Detections([[5, 5, 30, 30], [20, 10, 40, 40]], [0.9, 0.2], [0, 1])
    return SeenFrame(index * 10 ** 8, cv2.imencode('.jpg', image)[1].tobytes(),
                     found if answered else None,
                     GroundTruth(np.array([[5, 5, 30, 30]]), np.array([0])),
                     20.0 + index if answered else None)


def test_figures_count_above_the_threshold():
    run = [frame(0), frame(1, answered=False), frame(2)]
    result = summarise(run, NAMES, 0.5)
    assert result.frames == 3 and result.answered == 2
    assert result.detections_per_class == {'cone': 2, 'cube': 0}
    assert result.frames_with_detections == 2
    assert result.age_ms == AgeFigures(median=21.0, p95=21.9, max=22.0)
    # the one object of each frame is found with the best score; there is no cube
    assert result.ap50 == 1.0 and result.ap50_frames == 2
    assert result.to_json()['ap50_per_class'] == {'cone': 1.0, 'cube': None}
    assert summarise(run, NAMES, 0.1).detections == 4


@pytest.mark.parametrize('run', [[], [frame(0, answered=False)]], ids=['none', 'unanswered'])
def test_figures_of_nothing(run):
    result = summarise(run, NAMES, 0.5)
    assert result.detections == 0 and result.ap50 is None
    plain = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert plain['age_ms']['median'] is None and 'ap50' not in plain


def test_folder_has_everything_and_the_page_needs_nothing_else(tmp_path):
    run = [frame(i, answered=i != 3) for i in range(15)]
    summary = replace(summarise(run, NAMES, 0.5, 0.91), ap50=0.9)
    out = tmp_path / os.fsdecode(b'out\xff')
    with result_folder(out) as folder:
        write_summary(folder, run, NAMES, summary, 'A <run> & more')
    assert len(list((out / 'frames').glob('*.jpg'))) == 15
    assert json.loads((out / 'summary.json').read_text()) == summary.to_json()
    assert read_image(out / 'contact_sheet.png').shape[1] > 1900
    page = (out / 'summary.html').read_text()
    assert 'A &lt;run&gt; &amp; more' in page
    assert all(source.startswith('data:') for source in re.findall(r'src="([^"]*)"', page))
    assert 'data:video/webm' in page and 'data:image/jpeg' in page
    assert '14 of 15' in page and 'model card: 0.910' in page


def test_frames_without_pictures_and_of_other_sizes(tmp_path):
    run = [frame(0), frame(1, size=(32, 32)), SeenFrame(2 * 10 ** 8, None, Detections.empty(),
                                                        None, 5.0)]
    write_summary(tmp_path, run, NAMES, summarise(run, NAMES, 0.5), 'mixed')
    assert len(list((tmp_path / 'frames').iterdir())) == 2


def test_no_picture_at_all(tmp_path):
    run = [SeenFrame(0, None, Detections.empty(), None, 5.0)]
    write_summary(tmp_path, run, NAMES, summarise(run, NAMES, 0.5), 'blind')
    assert not (tmp_path / 'video.webm').exists() and (tmp_path / 'summary.html').exists()


def test_result_folder_replaces_only_results(tmp_path):
    out = tmp_path / 'out'
    for text in ('first', 'second'):
        with result_folder(out) as folder:
            (folder / 'summary.json').write_text(text)
    assert (out / 'summary.json').read_text() == 'second'
    with pytest.raises(RuntimeError), result_folder(out) as folder:
        (folder / 'summary.json').write_text('third')
        raise RuntimeError
    assert (out / 'summary.json').read_text() == 'second'
    assert [p.name for p in tmp_path.iterdir()] == ['out']
    (tmp_path / 'home').mkdir()
    (tmp_path / 'home' / 'thesis.tex').touch()
    with pytest.raises(FileExistsError, match='no earlier result'), \
            result_folder(tmp_path / 'home'):
        pass
    assert (tmp_path / 'home' / 'thesis.tex').exists()


def test_video_plays_back(tmp_path):
    images = [np.full((49, 65, 3), 10 * i, np.uint8) for i in range(10)]
    assert write_video(tmp_path / 'v.webm', images, 10) == 10
    import av
    with av.open(str(tmp_path / 'v.webm')) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name in ('vp9', 'libvpx-vp9')
        assert (stream.width, stream.height) == (64, 48)
        levels = [f.to_ndarray(format='rgb24').mean() for f in container.decode(stream)]
    assert np.allclose(levels, [10 * i for i in range(10)], atol=4)


def test_a_video_needs_an_image(tmp_path):
    with pytest.raises(ValueError, match='at least one'):
        write_video(tmp_path / 'v.webm', [], 10)


@pytest.mark.parametrize('sizes, written', [
    ([(8, 8), (16, 9), (1, 1)], (8, 8)), ([(1, 1), (40, 30)], (2, 2)),
    ([(70_000, 3)], (16_382, 2))])
def test_a_video_has_one_size_whatever_the_images_have(tmp_path, sizes, written):
    images = [np.zeros((height, width, 3), np.uint8) for width, height in sizes]
    assert write_video(tmp_path / 'v.webm', images, 10) == len(sizes)
    import av
    with av.open(str(tmp_path / 'v.webm')) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == written


@pytest.mark.parametrize('stamps, fps', [
    ([0], 10), ([0, 10 ** 8, 2 * 10 ** 8], 10), ([0, 0, 0], 10), ([0, 1], 120),
    ([0, 10 ** 11], 1), ([0, 33_333_333, 66_666_666], pytest.approx(30, abs=0.01)),
])
def test_frame_rate(stamps, fps):
    assert frame_rate([SeenFrame(s, None, None, None, None) for s in stamps]) == fps


@pytest.mark.parametrize('count, wanted, expected', [
    (0, 12, []), (1, 12, [0]), (5, 12, [0, 1, 2, 3, 4]), (100, 3, [0, 50, 99]), (9, 1, [0])])
def test_spread(count, wanted, expected):
    assert spread(count, wanted) == expected


def test_contact_sheet_of_few():
    sheet = contact_sheet([np.zeros((30, 40, 3), np.uint8)], ['only one'], tile_width=80)
    assert sheet.shape == (8 + 60 + 26 + 8, 8 + 80 + 8, 3)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_table_draws_over_itself_on_a_terminal():
    stream = Terminal()
    table = LiveTable(stream, 'Detections')
    table.show([('frames', '1')])
    table.show([('frames', '2')])
    assert '\x1b[2F' in stream.getvalue() and stream.getvalue().count('\x1b[2K') == 4


@pytest.mark.parametrize('stream', [Terminal, io.StringIO])
def test_names_of_strangers_do_not_reach_the_terminal_as_they_are(stream):
    table = LiveTable(stream := stream(), 'Detections')
    table.finish([('seen', '2 cone\x1b]0;title\x07\nforged'), ('\u202ename', 'x' * 10 ** 6)])
    shown = stream.getvalue()
    assert '\\x1b]0;title\\x07\\nforged' in shown and len(shown) < 2000
    assert '\x1b]' not in shown and '\u202e' not in shown


def test_table_elsewhere_is_plain_and_rare():
    stream = io.StringIO()
    table = LiveTable(stream, 'Detections')
    for count in range(50):
        table.show([('frames', str(count)), ('age', '')])
    table.finish([('frames', '50')])
    assert stream.getvalue() == 'frames 0\nframes 50\n'


def test_images_that_cannot_be_decoded_are_left_out(tmp_path):
    broken = SeenFrame(10 ** 9, b'\xff\xd8 no image', Detections.empty(), None, 5.0)
    run = [broken, frame(11), replace(broken, stamp_ns=2 * 10 ** 9)]
    write_summary(tmp_path, run, NAMES, summarise(run, NAMES, 0.5), 'damaged')
    assert [path.name for path in (tmp_path / 'frames').iterdir()] == ['000001.jpg']
    (tmp_path / 'none').mkdir()
    write_summary(tmp_path / 'none', [broken], NAMES, summarise([broken], NAMES, 0.5), 'damaged')
    assert sorted(path.name for path in (tmp_path / 'none').iterdir()) == [
        'frames', 'summary.html', 'summary.json']
