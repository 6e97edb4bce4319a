"""Videos are read frame by frame, upright, and as far as they go."""

import os

import cv2
import numpy as np
import pytest

from ssd_perception.core.errors import DataError

av = pytest.importorskip('av')

from ssd_perception.data.video import Video  # noqa: E402
from ssd_perception.viz.video import write_video  # noqa: E402


def levels(count):
    """Return frames of rising brightness."""
    return [np.full((48, 64, 3), 8 * i, np.uint8) for i in range(count)]


def write_mp4(path, images, rotation=0):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        if rotation:
            stream.set_display_rotation(rotation)
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize('name', ['a.webm', 'a.mp4'])
def test_all_frames_come_in_order_with_their_time(tmp_path, name):
    if name.endswith('mp4'):
        write_mp4(tmp_path / name, levels(30))
    else:
        write_video(tmp_path / name, levels(30), 10)
    with Video(tmp_path / name) as video:
        assert video.expected == 30 and video.fps == pytest.approx(10)
        frames = list(video.frames())
    assert video.damage is None
    assert [frame.index for frame in frames] == list(range(30))
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(30) / 10, atol=2e-3)
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)
    np.testing.assert_allclose([frame.image.mean() for frame in frames], 8.0 * np.arange(30),
                               atol=6)


@pytest.mark.parametrize('rotation', [90, -90, 180])
def test_frames_are_turned_as_players_show_them(tmp_path, rotation):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:16, :16] = 255  # the top-left corner, as stored
    path = write_mp4(tmp_path / 'a.mp4', [image] * 3, rotation)
    if not hasattr(av.VideoFrame, 'rotation'):
        pytest.skip('this PyAV does not tell the rotation')
    with Video(path) as video:
        frame = next(video.frames())
    # FFmpeg's display rotation counts counter-clockwise.
    expected = {90: (slice(-12, None), slice(None, 12)), -90: (slice(None, 12), slice(-12, None)),
                180: (slice(-12, None), slice(-12, None))}[rotation]
    assert frame.image.shape == ((48, 64, 3) if rotation == 180 else (64, 48, 3))
    assert frame.image[expected].mean() > 200 and frame.image.mean() < 60


def test_a_video_that_ends_early_says_where(tmp_path):
    write_video(tmp_path / 'a.webm', levels(30), 10)
    data = (tmp_path / 'a.webm').read_bytes()
    (tmp_path / 'half.webm').write_bytes(data[:len(data) // 2])
    with Video(tmp_path / 'half.webm') as video:
        count = sum(1 for _ in video.frames())
    assert 0 < count < 25
    assert f'half.webm is damaged: {count} of about 30 frames' in video.damage
    assert 'of 3.0 s: the file ends early' in video.damage


def test_frames_after_a_damaged_one_are_read(tmp_path):
    rng = np.random.default_rng(0)
    path = write_mp4(tmp_path / 'a.mp4', rng.integers(0, 256, (40, 48, 64, 3)).astype(np.uint8))
    data = bytearray(path.read_bytes())
    start = data.find(b'mdat') + 4 + len(data) // 3
    data[start:start + 3000] = bytes(3000)
    path.write_bytes(data)
    with Video(path) as video:
        frames = list(video.frames())
    assert 20 < len(frames) < 40 and frames[-1].seconds > 3.5
    assert 'is damaged' in video.damage and 'of about 40 frames' in video.damage


@pytest.mark.parametrize('content', [b'', b'no video', bytes(5000)])
def test_what_is_no_video_is_named(tmp_path, content):
    (tmp_path / 'bad.mp4').write_bytes(content)
    with pytest.raises(DataError, match='bad.mp4 cannot be opened as a video'):
        Video(tmp_path / 'bad.mp4')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match='gone.mp4 cannot be opened: No such file'):
        Video(tmp_path / 'gone.mp4')


def test_sound_alone_is_no_video(tmp_path):
    with av.open(str(tmp_path / 'a.mp4'), 'w') as container:
        stream = container.add_stream('aac', rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), 'fltp', 'mono')
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DataError, match='holds no video'):
        Video(tmp_path / 'a.mp4')


@pytest.mark.parametrize('name', ['tcp:127.0.0.1:1?.mp4', 'http:x.mp4', 'concat:a|b.mp4',
                                  'a b.mp4'])
def test_a_name_is_no_address(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_mp4(tmp_path / 'plain.mp4', levels(3))
    (tmp_path / 'plain.mp4').rename(tmp_path / name)
    with Video(name) as video:  # relative, as `detect .` lists it
        assert len(list(video.frames())) == 3
    with pytest.raises(DataError, match='No such file'):
        Video(f'x{name}')


@pytest.mark.parametrize('text', [
    '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nplain.mp4\n',
    'ffconcat version 1.0\nfile plain.mp4\n',
    'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n'])
def test_a_playlist_opens_nothing(tmp_path, text):
    write_mp4(tmp_path / 'plain.mp4', levels(3))
    (tmp_path / 'list.mp4').write_text(text)
    with pytest.raises(DataError, match='list.mp4 cannot be opened as a video'):
        Video(tmp_path / 'list.mp4')


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'a.mp4')
    with pytest.raises(DataError, match='a.mp4 is no regular file'):
        Video(tmp_path / 'a.mp4')


@pytest.mark.parametrize('sides', [(64, 12_000, 64), (12_000, 64, 64)])
def test_a_frame_larger_than_stated_is_not_decoded(tmp_path, sides):
    frames = [cv2.imencode('.jpg', np.zeros((side, side, 3), np.uint8))[1].tobytes()
              for side in sides]
    with av.open(str(tmp_path / 'a.avi'), 'w') as container:
        stream = container.add_stream('mjpeg', rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = 'yuvj420p'
        for index, data in enumerate(frames):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, index, index
            container.mux(packet)
    with Video(tmp_path / 'a.avi') as video:
        assert [frame.image.shape for frame in video.frames()] == [(64, 64, 3)] * 2
    assert 'a.avi is damaged: 2 of about 3 frames could be read' in video.damage
