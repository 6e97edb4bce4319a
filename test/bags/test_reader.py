"""Recordings are read in order, and what is wrong with one is named in a sentence."""

import pytest
from recordings import IMAGE, PERIOD_NS, START_NS, TRUTH, write_recording

from ssd_perception.bags.reader import Bag, BagError

STORAGES = ('mcap', 'sqlite3')


@pytest.fixture(params=STORAGES)
def recording(request, tmp_path):
    return write_recording(tmp_path / 'drive', frames=4, storage=request.param)


def test_topics_counts_and_times(recording):
    with Bag(recording) as bag:
        assert bag.topics == {IMAGE: 'sensor_msgs/msg/CompressedImage',
                              TRUTH: 'vision_msgs/msg/Detection2DArray'}
        assert bag.counts == {IMAGE: 4, TRUTH: 4}
        assert bag.start_ns == START_NS
        assert bag.duration_ns // 10 ** 6 == 300
        assert bag.of_type('sensor_msgs/msg/CompressedImage') == [IMAGE]


def test_yields_every_message_in_order(recording):
    with Bag(recording) as bag:
        records = list(bag.records())
        again = list(bag.records())
    assert [r.stamp_ns for r in records if r.topic == IMAGE] == [
        START_NS + i * PERIOD_NS for i in range(4)]
    assert [r.stamp_ns for r in records] == sorted(r.stamp_ns for r in records)
    assert len(records) == 8
    assert [r.cdr for r in records] == [r.cdr for r in again]


def test_filters_topics_and_deserializes(recording):
    with Bag(recording) as bag:
        records = list(bag.records([TRUTH]))
    assert {r.topic for r in records} == {TRUTH}
    message = records[2].message
    assert message.header.stamp.sec * 10 ** 9 + message.header.stamp.nanosec == \
        START_NS + 2 * PERIOD_NS
    assert message.detections[0].bbox.center.position.x == 160.0
    assert message.detections[0].results[0].hypothesis.class_id == 'cone'


@pytest.mark.parametrize('storage', STORAGES)
def test_a_single_file_is_a_recording_too(tmp_path, storage):
    folder = write_recording(tmp_path / 'drive', frames=2, storage=storage)
    file = next(f for f in folder.iterdir() if f.suffix in ('.mcap', '.db3'))
    with Bag(file) as bag:
        assert len(list(bag.records([IMAGE]))) == 2


@pytest.mark.parametrize('storage', STORAGES)
def test_empty_recording(tmp_path, storage):
    with Bag(write_recording(tmp_path / 'empty', frames=0, storage=storage)) as bag:
        assert list(bag.records()) == []
        assert bag.duration_ns == 0
        assert set(bag.topics) == {IMAGE, TRUTH}


def test_absent_topic_names_those_present(recording):
    with Bag(recording) as bag, pytest.raises(BagError, match='no topic /rear.*/camera/image_raw'):
        bag.records(['/rear'])


def missing(tmp_path):
    return tmp_path / 'nothing'


def plain_folder(tmp_path):
    return tmp_path


def other_file(tmp_path):
    path = tmp_path / 'drive.bag'
    path.write_bytes(b'#ROSBAG V2.0\n')
    return path


def rubbish(tmp_path):
    path = tmp_path / 'drive.mcap'
    path.write_bytes(b'not an mcap file' * 10)
    return path


def empty_file(tmp_path):
    path = tmp_path / 'drive.mcap'
    path.touch()
    return path


def storage_missing(tmp_path):
    folder = write_recording(tmp_path / 'drive', frames=1)
    (folder / 'drive.mcap').unlink()
    return folder


def bad_metadata(tmp_path):
    folder = write_recording(tmp_path / 'drive', frames=1)
    (folder / 'metadata.yaml').write_text('rosbag2_bagfile_information: 3\n')
    return folder


def truncated_database(tmp_path):
    folder = write_recording(tmp_path / 'drive', frames=1, storage='sqlite3')
    file = folder / 'drive.db3'
    file.write_bytes(file.read_bytes()[:5000])
    return folder


@pytest.mark.parametrize('make, reason', [
    (missing, 'no recording at'),
    (plain_folder, 'no file that ends in .mcap'),
    (other_file, 'ends in .mcap, .db3'),
    (rubbish, 'is no mcap file'),
    (empty_file, 'empty'),
    (storage_missing, 'missing'),
    (bad_metadata, 'metadata'),
    (truncated_database, 'damaged'),
], ids=lambda value: getattr(value, '__name__', value))
def test_what_cannot_be_read_is_one_sentence(tmp_path, make, reason):
    with pytest.raises(BagError, match=reason) as caught:
        with Bag(make(tmp_path)) as bag:
            list(bag.records())
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('share', [0.0, 0.001, 0.1, 0.3, 0.5, 0.8, 0.95])
def test_truncated_file_is_refused_not_a_crash(tmp_path, share):
    folder = write_recording(tmp_path / 'drive', frames=8)
    file = folder / 'drive.mcap'
    content = file.read_bytes()
    file.write_bytes(content[:int(len(content) * share)])
    with pytest.raises(BagError):
        with Bag(folder) as bag:
            list(bag.records())


def test_unknown_type_and_broken_message_are_named(recording):
    with Bag(recording) as bag:
        record = next(bag.records([TRUTH]))
    from dataclasses import replace
    with pytest.raises(BagError, match='acme/msg/Thing'):
        _ = replace(record, type='acme/msg/Thing').message
    with pytest.raises(BagError, match='is not a vision_msgs'):
        _ = replace(record, cdr=record.cdr[:20]).message
