"""A replayed recording: every frame in order, the same results however the run went."""

from __future__ import annotations

import importlib.util
import json
import random
import shutil
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip('av')
pytest.importorskip('matplotlib')
pytest.importorskip('tqdm')
from mcap.reader import make_reader  # noqa: E402
from mcap_ros2.decoder import DecoderFactory  # noqa: E402

from ssd_perception.__main__ import main  # noqa: E402
from ssd_perception.bags.reader import Bag  # noqa: E402
from ssd_perception.bags.types import typestore  # noqa: E402
from ssd_perception.bags.writer import BagWriter  # noqa: E402
from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.core.postprocess import PostprocessSettings  # noqa: E402
from ssd_perception.replay import pieces  # noqa: E402

_spec = importlib.util.spec_from_file_location(
    'recordings', Path(__file__).parents[1] / 'bags' / 'recordings.py')
recordings = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(recordings)

FRAMES = 25
NAMES = ('cube', 'cone')


class OrangeDetector:
    """Finds the test pictures' orange square; everything around a Detector, but no network."""

    class_names, device, runtime, precision = NAMES, 'cpu', 'none', 'fp32'
    path, weights_hash = Path('orange.safetensors'), '0' * 64

    def __init__(self, score_threshold):
        self.settings = PostprocessSettings(0.5 if score_threshold is None else score_threshold)
        self.timings_ms = {'network': 1.0}
        self.calls, self.fail_at = 0, None

    def describe(self):
        return 'orange (cube, cone)'

    def warm_up(self, batch_size=1):
        pass

    def __call__(self, images):
        found = []
        for image in images:
            if self.calls == self.fail_at:
                raise KeyboardInterrupt
            self.calls += 1
            orange = (image[..., 0] > 200) & (image[..., 2] < 80)
            rows, columns = np.nonzero(orange)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            score = 0.55 + 0.4 * (box[0] % 7) / 7
            weak = Detections([box, [5, 5, 60, 60]], [score, 0.3], [1, 0])
            found.append(weak[weak.scores >= self.settings.score_threshold])
        return found


@pytest.fixture
def detectors(monkeypatch):
    """Replace the network; the list holds every detector that was made."""
    from ssd_perception.inference.detector import Detector
    made = []

    def make(weights='', score_threshold=None, **_):
        made.append(OrangeDetector(score_threshold))
        return made[-1]

    monkeypatch.setattr(Detector, 'from_weights', make)
    monkeypatch.setattr(pieces, 'PIECE_FRAMES', 10)
    monkeypatch.setattr('ssd_perception.replay.pipeline.PIECE_FRAMES', 10)
    return made


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    return recordings.write_recording(tmp_path_factory.mktemp('bags') / 'drive', frames=FRAMES,
                                      size=(320, 320))


def replay(bag, out, *words):
    return main(['replay', str(bag), '--out', str(out), *words])


def files(out):
    """Return what must be the same in every run."""
    return {path.name: path.read_bytes() for path in sorted(out.rglob('*'))
            if path.suffix in ('.jsonl', '.webm', '.mcap')}


def messages(out, topic):
    with Bag(out / 'bag') as bag:
        return [record.message for record in bag.records([topic])]


def test_everything_about_every_frame(detectors, recording, tmp_path, capsys):
    out = tmp_path / 'out'
    assert replay(recording, out, '--against', recordings.TRUTH) == 0
    assert 'AP50 1.0000' in capsys.readouterr().out
    found = messages(out, '/detections')
    stamps = [m.header.stamp.sec * 10 ** 9 + m.header.stamp.nanosec for m in found]
    assert stamps == [recordings.START_NS + i * recordings.PERIOD_NS for i in range(FRAMES)]
    assert {m.header.frame_id for m in found} == {'camera_optical'}
    assert [len(m.detections) for m in found] == [1] * FRAMES
    assert found[3].detections[0].results[0].hypothesis.class_id == 'cone'
    assert abs(found[3].detections[0].bbox.center.position.x - 165) < 2
    pictures = messages(out, '/detections/image/compressed')
    assert [m.header.stamp for m in pictures] == [m.header.stamp for m in found]
    assert cv2.imdecode(pictures[0].data, cv2.IMREAD_COLOR).shape == (320, 320, 3)
    info, = messages(out, '/vision_info')
    label, = messages(out, '/label_info')
    assert info.method == 'orange (cube, cone)' and info.database_location == '/label_info'
    assert [c.class_name for c in label.class_map] == list(NAMES) and label.threshold == 0.5
    lines = [json.loads(line) for line in (out / 'detections.jsonl').read_text().splitlines()]
    assert [line['index'] for line in lines] == list(range(FRAMES))
    assert [line['stamp_ns'] for line in lines] == stamps
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['frames'] == FRAMES and summary['losses'] == []
    assert summary['detections_per_class'] == {'cube': 0, 'cone': FRAMES}
    page = (out / 'report.html').read_text()
    assert 'Most uncertain frames' in page and 'Accuracy' in page and 'damaged' not in page
    import av
    with av.open(str(out / 'video.webm')) as video:
        times = [frame.pts for frame in video.decode(video=0)]
    assert times == [100 * i for i in range(FRAMES)]
    assert [p.name for p in tmp_path.iterdir()] == ['out']


def test_a_reader_not_ours_reads_what_is_written(detectors, recording, tmp_path):
    assert replay(recording, tmp_path / 'out', '--originals') == 0
    counts, latched = {}, {}
    with open(tmp_path / 'out' / 'bag' / 'bag.mcap', 'rb') as stream:
        reader = make_reader(stream, decoder_factories=[DecoderFactory()])
        before = 0
        for schema, channel, message, decoded in reader.iter_decoded_messages():
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
            latched[channel.topic] = 'transient_local' in channel.metadata['offered_qos_profiles']
            assert schema.encoding == 'ros2msg' and message.log_time >= before
            before = message.log_time
            if channel.topic == '/detections/annotations' and decoded.points:
                box, text = decoded.points[0], decoded.texts[0]
                assert schema.name == 'foxglove_msgs/msg/ImageAnnotations'
                assert box.type == 2 and len(box.points) == 4 and text.text.startswith('cone 0.')
    results = ('', '/image/compressed', '/annotations')
    assert counts == {recordings.IMAGE: FRAMES, recordings.TRUTH: FRAMES, '/vision_info': 1,
                      '/label_info': 1, **{f'/detections{end}': FRAMES for end in results}}
    assert latched['/vision_info'] and latched['/label_info'] and not latched['/detections']
    import yaml
    metadata = yaml.safe_load((tmp_path / 'out' / 'bag' / 'metadata.yaml').read_text())
    for entry in metadata['rosbag2_bagfile_information']['topics_with_message_count']:
        topic = entry['topic_metadata']
        assert topic['type_description_hash'] == typestore().hash_rihs01(topic['type'])
    with Bag(recording) as old, Bag(tmp_path / 'out' / 'bag') as new:
        topics = [recordings.IMAGE, recordings.TRUTH]
        assert [(r.topic, r.stamp_ns, r.cdr) for r in new.records(topics)] == \
            [(r.topic, r.stamp_ns, r.cdr) for r in old.records(topics)]


def test_two_runs_and_an_interrupted_one_give_the_same_bytes(detectors, recording, tmp_path,
                                                             monkeypatch, capsys):
    for name in ('one', 'two'):
        assert replay(recording, tmp_path / name) == 0
    assert files(tmp_path / 'one') == files(tmp_path / 'two')
    from ssd_perception.inference.detector import Detector
    make = Detector.from_weights
    for at in (17, 4):  # in the second piece; then in what is left, the third
        def failing(*args, at=at, **words):
            detector = make(*args, **words)
            detector.fail_at = at
            return detector
        monkeypatch.setattr(Detector, 'from_weights', failing)
        assert replay(recording, tmp_path / 'three', '--workers', '1') == 130
        assert not (tmp_path / 'three').exists()
        assert 'continues behind frame' in capsys.readouterr().err
    monkeypatch.setattr(Detector, 'from_weights', make)
    # Another setting must not continue it, and must not discard it by itself.
    assert replay(recording, tmp_path / 'three', '--workers', '1', '--score-threshold', '0.6') == 1
    assert '--fresh' in capsys.readouterr().err
    assert replay(recording, tmp_path / 'three', '--workers', '1') == 0
    assert detectors[-1].calls == FRAMES - 10
    assert files(tmp_path / 'three') == files(tmp_path / 'one')
    assert sorted(p.name for p in tmp_path.iterdir()) == ['one', 'three', 'two']
    assert threading.active_count() < 4


def test_detectors_side_by_side_change_nothing(detectors, recording, tmp_path, monkeypatch):
    assert replay(recording, tmp_path / 'one', '--workers', '1') == 0
    answer, together = OrangeDetector.__call__, threading.Barrier(3)

    def slowly(self, images):
        # The first three calls wait for each other: they are at work at the same time. The
        # later a frame comes, the sooner it is answered, so that answers arrive disordered.
        if self.calls == 0:
            together.wait(20)
        time.sleep(0.01 * (self is detectors[-3]))
        return answer(self, images)

    monkeypatch.setattr(OrangeDetector, '__call__', slowly)
    assert replay(recording, tmp_path / 'three', '--workers', '3') == 0
    calls = [detector.calls for detector in detectors[-3:]]
    assert sum(calls) == FRAMES and min(calls) > 0
    assert files(tmp_path / 'one') == files(tmp_path / 'three')


def test_batches_change_nothing(detectors, recording, tmp_path):
    assert replay(recording, tmp_path / 'one', '--no-pictures') == 0
    assert replay(recording, tmp_path / 'four', '--no-pictures', '--batch', '4') == 0
    assert files(tmp_path / 'one') == files(tmp_path / 'four')
    assert not (tmp_path / 'one' / 'video.webm').exists()


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_several_cameras_raw_and_compressed(detectors, tmp_path, storage):
    types, header = recordings.types, recordings.header
    with BagWriter(tmp_path / 'drive', storage) as bag:
        for index in range(3):
            image = recordings.picture(index)
            raw = types('sensor_msgs/msg/Image')(
                header=header(index), height=480, width=640, encoding='bgr8', is_bigendian=0,
                step=1920, data=image.reshape(-1))
            jpeg = types('sensor_msgs/msg/CompressedImage')(
                header=header(index), format='jpeg',
                data=cv2.imencode('.jpg', image)[1].reshape(-1))
            broken = types('sensor_msgs/msg/CompressedImage')(
                header=header(index), format='jpeg', data=np.zeros(9, np.uint8))
            stamp = recordings.START_NS + index
            bag.write('/front/image_raw', stamp, raw)
            bag.write('/front/image_raw/compressed', stamp, jpeg)  # the same picture again
            bag.write('/rear/image_raw/compressed', stamp, broken if index == 1 else jpeg)
            bag.write('/depth/image', stamp, raw)
    assert replay(tmp_path / 'drive', tmp_path / 'out', '--storage', storage) == 0
    with Bag(tmp_path / 'out' / 'bag') as bag:
        assert bag.counts['/front/detections'] == 3 and bag.counts['/rear/detections'] == 2
        assert not [topic for topic in bag.topics if topic.startswith('/depth')]
        assert ('/front/detections/annotations' in bag.topics) == (storage == 'mcap')
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['unreadable'] == 1
    assert {p.name for p in (tmp_path / 'out').glob('*.webm')} == {
        'video_front.webm', 'video_rear.webm'}
    assert replay(tmp_path / 'drive', tmp_path / 'depth', '--topics', '/depth/image',
                  '--namespace', 'again') == 0
    with Bag(tmp_path / 'depth' / 'bag') as bag:
        assert bag.counts['/again/detections'] == 3 and '/again/vision_info' in bag.topics


def test_a_broken_recording_says_what_is_lost(detectors, recording, tmp_path, capsys):
    folder = shutil.copytree(recording, tmp_path / 'drive')
    (folder / 'metadata.yaml').unlink()
    file = folder / 'drive.mcap'
    with file.open('r+b') as stream:
        stream.truncate(file.stat().st_size * 2 // 3)
    assert replay(folder, tmp_path / 'out') == 0
    told = capsys.readouterr().out
    assert 'metadata.yaml is missing' in told and 'drive.mcap' in told
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert 0 < summary['frames'] < FRAMES and f'Read {summary["frames"]} frames' in told
    assert 'The recording is damaged' in (tmp_path / 'out' / 'report.html').read_text()


@pytest.mark.parametrize('seed', range(10))
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_cut_anywhere_it_is_replayed_or_refused(detectors, tmp_path, capsys, seed, storage):
    folder = recordings.write_recording(tmp_path / 'drive', 8, storage, (320, 320))
    file = next(f for f in folder.iterdir() if f.suffix in ('.mcap', '.db3'))
    with file.open('r+b') as stream:
        stream.truncate(random.Random(seed).randrange(file.stat().st_size))
    code = replay(folder, tmp_path / 'out', '--no-pictures')
    told = capsys.readouterr()
    if code == 0:
        summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
        found = messages(tmp_path / 'out', '/detections')
        assert len(found) == summary['frames'] > 0
        assert 'lost' in told.out
    else:
        assert code == 1 and told.err.count('\n') == 1
        assert [p.name for p in tmp_path.iterdir()] == ['drive']


def voc_of(folder, names):
    """Write the recording's pictures and truth as a VOC folder."""
    for part in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
        (folder / part).mkdir(parents=True)
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / 'JPEGImages' / f'{name}.jpg'),
                    recordings.picture(index, (320, 320)))
        low = 100 + 5 * index
        (folder / 'Annotations' / f'{name}.xml').write_text(
            '<annotation><object><name>cone</name><bndbox>'
            f'<xmin>{low}</xmin><ymin>200</ymin><xmax>{low + 100}</xmax><ymax>300</ymax>'
            '</bndbox></object></annotation>')
    (folder / 'ImageSets' / 'Main' / 'val.txt').write_text('\n'.join(names))
    return folder


@pytest.mark.parametrize('names', [
    [f'picture{i}' for i in range(20)],  # found by their pixels
    [str(recordings.START_NS + i * recordings.PERIOD_NS) for i in range(20)],  # by the stamp
])
def test_against_a_voc_folder(detectors, recording, tmp_path, names):
    folder = voc_of(tmp_path / 'voc', names)
    assert replay(recording, tmp_path / 'out', '--against', str(folder)) == 0
    figures = json.loads((tmp_path / 'out' / 'summary.json').read_text())['against']
    assert (figures['images'], figures['of']) == (20, 20) and figures['voc10_ap50'] == 1.0
    assert detectors[-1].settings.score_threshold == 0.01


@pytest.mark.parametrize('words, says', [
    (['--against', '/nowhere'], 'neither a folder in VOC layout nor a topic'),
    (['--against', recordings.IMAGE], 'ground truth is a'),
    (['--topics', '/rear'], 'no topic /rear'),
    (['--topics', recordings.TRUTH], 'no images'),
    (['--batch', '0'], '--batch must be'), (['--workers', '-1'], '--workers must be'),
])
def test_what_is_wrong_is_one_sentence(detectors, recording, tmp_path, capsys, words, says):
    assert replay(recording, tmp_path / 'out', *words) == 1
    error = capsys.readouterr().err
    assert says in error and error.count('\n') == 1
    assert list(tmp_path.iterdir()) == []


def test_results_do_not_mix_with_originals(detectors, recording, tmp_path, capsys):
    assert replay(recording, tmp_path / 'one', '--originals') == 0
    first = tmp_path / 'one' / 'bag'
    assert replay(first, tmp_path / 'two', '--originals') == 1
    assert '--namespace' in capsys.readouterr().err
    assert replay(first, tmp_path / 'two', '--originals', '--namespace', 'again') == 0
    with Bag(tmp_path / 'two' / 'bag') as bag:
        assert bag.counts['/detections'] == bag.counts['/again/detections'] == FRAMES
