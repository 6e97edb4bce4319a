"""What a replayed recording holds: every frame in order, for one camera or several."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

for module in ('av', 'matplotlib', 'mcap_ros2', 'rosbags', 'tqdm'):
    pytest.importorskip(module)
import recordings  # noqa: E402
from mcap.reader import make_reader  # noqa: E402
from mcap_ros2.decoder import DecoderFactory  # noqa: E402
from orange_detector import NAMES  # noqa: E402
from replaying import FRAMES, messages, replay  # noqa: E402

from ssd_perception.bags.reader import Bag  # noqa: E402
from ssd_perception.bags.types import typestore  # noqa: E402
from ssd_perception.bags.writer import BagWriter  # noqa: E402

pytest_plugins = ['replaying']


def test_everything_about_every_frame(detectors, recording, tmp_path, capsys):
    out = tmp_path / 'out'
    assert replay(recording, out, '--ground-truth', recordings.TRUTH) == 0
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
            depth = types('sensor_msgs/msg/Image')(
                header=header(index), height=480, width=640, encoding='16UC1', is_bigendian=0,
                step=1280, data=np.full(2 * 480 * 640, 7, np.uint8))
            stamp = recordings.START_NS + index
            bag.write('/front/image_raw', stamp, raw)
            bag.write('/front/image_raw/compressed', stamp, jpeg)  # the same picture again
            bag.write('/rear/image_raw/compressed', stamp, broken if index == 1 else jpeg)
            bag.write('/depth/image', stamp, depth)
    assert replay(tmp_path / 'drive', tmp_path / 'out', '--storage', storage) == 0
    with Bag(tmp_path / 'out' / 'bag') as bag:
        assert bag.counts['/front/detections'] == 3 and bag.counts['/rear/detections'] == 2
        assert not [topic for topic in bag.topics if topic.startswith('/depth')]
        assert ('/front/detections/annotations' in bag.topics) == (storage == 'mcap')
    summary = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert summary['unreadable'] == 1
    assert {p.name for p in (tmp_path / 'out').glob('*.webm')} == {
        'video_front.webm', 'video_rear.webm'}
    assert replay(tmp_path / 'drive', tmp_path / 'again', '--topics',
                  '/front/image_raw/compressed', '--namespace', 'again') == 0
    with Bag(tmp_path / 'again' / 'bag') as bag:
        assert bag.counts['/again/detections'] == 3 and '/again/vision_info' in bag.topics


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
def test_accuracy_by_a_voc_folder(detectors, recording, tmp_path, names):
    folder = voc_of(tmp_path / 'voc', names)
    if names[0] == 'picture0':  # an image that cannot be read costs itself
        (folder / 'JPEGImages' / 'picture0.jpg').write_bytes(b'x')
    assert replay(recording, tmp_path / 'out', '--ground-truth', str(folder)) == 0
    figures = json.loads((tmp_path / 'out' / 'summary.json').read_text())['ground_truth']
    lost = int(names[0] == 'picture0')
    assert (figures['images'], figures['of']) == (20 - lost, 20) and figures['voc10_ap50'] == 1.0
    assert ('1 unreadable' in figures['source']) == bool(lost)
    assert set(detectors[-1].asked) == {0.01}


def test_results_do_not_mix_with_originals(detectors, recording, tmp_path, capsys):
    assert replay(recording, tmp_path / 'one', '--originals') == 0
    first = tmp_path / 'one' / 'bag'
    assert replay(first, tmp_path / 'two', '--originals') == 1
    assert '--namespace' in capsys.readouterr().err
    assert replay(first, tmp_path / 'two', '--originals', '--namespace', 'again') == 0
    with Bag(tmp_path / 'two' / 'bag') as bag:
        assert bag.counts['/detections'] == bag.counts['/again/detections'] == FRAMES
