"""JPEGs that cameras and programs really write, and decoders read, although they look odd."""

from __future__ import annotations

import cv2
import numpy as np


def _segment(code: int, content: bytes) -> bytes:
    return bytes((0xFF, code)) + (len(content) + 2).to_bytes(2, 'big') + content


def odd_jpegs(image: np.ndarray) -> dict[str, bytes]:
    """Return name -> JPEG of ``image``, uint8 (H, W, 3) BGR; the pixels of all are the same."""
    plain = cv2.imencode('.jpg', image)[1].tobytes()
    first = 2 + 2 + int.from_bytes(plain[4:6], 'big')  # behind APP0
    scan = plain.index(b'\xff\xda')
    thumbnail = cv2.imencode('.jpg', image[:16, :16])[1].tobytes()

    def with_(junk: bytes, place: int = first) -> bytes:
        return plain[:place] + junk + plain[place:]
    exif = _segment(0xE1, b'Exif\0\0' + b'II*\0\x08\0\0\0\0\0')
    return {
        'plain': plain,
        'zeros between segments': with_(bytes(30)),
        'text between segments': with_(b'no segment at all'),
        'zeros before the scan': with_(bytes(7), scan),
        'fill bytes': with_(b'\xff' * 9),
        'a stuffed zero': with_(b'\xff\0'),
        'a restart before the scan': with_(b'\xff\xd3'),
        'an empty APP1': with_(b'\xff\xe1\0\2'),
        'an APP14 of other content': with_(_segment(0xEE, b'x')),
        'a broken EXIF': with_(_segment(0xE1, b'Exif\0\0MM\0*\xff\xff\xff\xff')),
        'an empty EXIF': with_(exif),
        'an unknown APP9': with_(_segment(0xE9, b'\xff\xd9\xff\xda' * 20)),
        'two hundred APP2': with_(_segment(0xE2, b'ICC_PROFILE\0\1\1' + bytes(100)) * 200),
        'a thumbnail': with_(_segment(0xE1, b'Exif\0\0' + thumbnail)),
        'a comment of no length': with_(b'\xff\xfe\0\2'),
        'a panorama of one': with_(_segment(0xE2, b'MPF\0II*\0\x08\0\0\0\0\0')),
        'no APP0': plain[:2] + plain[first:],
        'a video behind': plain + b'\0\0\0\x18ftypmp42' + b'\xff\xd8' * 9,
        'zeros behind': plain + bytes(5000)}
