"""Walk over the segments of a JPEG without decoding it: its size, and whether its end is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

# Start-of-frame markers; C4, C8 and CC lie between them and mean something else.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN_MARKER = 0xDA
_APP1 = 0xE1
_EXIF = b'Exif\0\0'
_ONE_ORIENTATION = 0x0112, 3, 1  # tag, type SHORT, count
_MAX_ENTRIES = 200  # of EXIF's first directory; cameras write about fifteen
# Without a length: restarts, beginning, TEM, and 0, which is no marker at all.
_BARE_MARKERS = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))
_END = b'\xff\xd9'
_CODE = re.compile(rb'[^\xff]')  # after any number of fill bytes
# Neither data of a scan, where 0 follows each 0xFF, nor a restart.
_SEGMENT = re.compile(rb'\xff[^\x00\x01\xff\xd0-\xd8]')
# Before the first scan; phones write some hundred. Megabytes of them would take seconds.
MAX_MARKERS = 10_000
# A progressive JPEG has about ten; each is a pass over the whole image, so a small file with
# thousands of them would keep the decoder busy for minutes.
MAX_SCANS = 100
MAX_SCANNED_PIXELS = 1_500_000_000  # of all scans together: 15 of the largest image


class JpegHead(NamedTuple):
    """What precedes the image data of a JPEG.

    Attributes:
        width, height: pixels, as the frame states them; 0 without a frame.
        channels: 1 is grey; 0 without a frame.
        scan: place of the first scan, in bytes from the beginning; -1 where there is none.
    """

    width: int = 0
    height: int = 0
    channels: int = 0
    scan: int = -1


def read_head(data: bytes) -> JpegHead:
    """Return what the segments of a JPEG state up to its first scan; the first frame counts."""
    head = JpegHead()
    for marker, place in _segments(data):
        if marker in _FRAME_MARKERS and not head.channels and place + 10 <= len(data):
            head = JpegHead(int.from_bytes(data[place + 7:place + 9], 'big'),
                            int.from_bytes(data[place + 5:place + 7], 'big'), data[place + 9])
        elif marker == _SCAN_MARKER:
            return head._replace(scan=place)
    return head


def exif_orientation(data: bytes) -> int:
    """Return how EXIF says that the stored pixels lie, 1 (upright) to 8; 1 where nothing says it.

    Args:
        data: a JPEG, or its first 128 KiB, which hold an EXIF segment that follows the beginning.
    """
    for marker, place in _segments(data) if data.startswith(b'\xff\xd8') else ():
        if marker == _SCAN_MARKER:
            break
        if marker == _APP1 and data.startswith(_EXIF, place + 4):
            length = int.from_bytes(data[place + 2:place + 4], 'big')
            return _first_orientation(data[place + 4 + len(_EXIF):place + 2 + length])
    return 1


def _first_orientation(tiff: bytes) -> int:
    """Return the orientation in the first directory of EXIF's TIFF structure, else 1."""
    order: Literal['little', 'big'] = 'little' if tiff.startswith(b'II') else 'big'

    def number(place: int, size: int) -> int:
        return int.from_bytes(tiff[place:place + size], order)

    start = number(4, 4)
    for i in range(min(number(start, 2), _MAX_ENTRIES)):
        entry = start + 2 + 12 * i
        if (number(entry, 2), number(entry + 2, 2), number(entry + 4, 4)) == _ONE_ORIENTATION:
            found = number(entry + 8, 2)
            return found if 1 <= found <= 8 else 1
    return 1


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and place of each segment that has a length.

    A segment may hold a thumbnail with markers of its own. What lies between two segments is
    skipped, as decoders do; after ``MAX_MARKERS`` nothing is yielded any more.
    """
    place = 2
    for _ in range(MAX_MARKERS):
        place = data.find(b'\xff', place)
        code = _CODE.search(data, place + 1) if place >= 0 else None
        if code is None:
            return
        place, marker = code.start() - 1, data[code.start()]
        if marker in _BARE_MARKERS:
            place += 2
        else:
            yield marker, place
            place += 2 + max(2, int.from_bytes(data[place + 2:place + 4], 'big'))


def has_end(data: bytes, scan: int) -> bool:
    """Return whether the end mark follows the scan at ``scan``.

    Within a scan 0xFF is never followed by 0xD9, so the mark is unique there. Decoders fill what
    is missing with grey, where nothing can be detected, some without a message (OpenCV before 5).
    What follows the end (a phone's video, say) does not matter.
    """
    # It is nearly always the very end: the rest is searched only if not.
    return any(data.find(_END, start) >= 0 for start in (max(scan, len(data) - 64), scan))


def has_too_many_scans(data: bytes, head: JpegHead) -> bool:
    """Return whether decoding a JPEG with this head would take very long.

    What follows the end mark (a phone's video, say) does not count.
    """
    scans = data.count(b'\xff\xda', max(head.scan, 0), _end_of(data, head.scan))
    return scans > MAX_SCANS or scans > 1 and \
        scans * head.width * head.height > MAX_SCANNED_PIXELS


def _end_of(data: bytes, scan: int) -> int:
    """Return where the end mark is, from segment to segment; else the end of ``data``."""
    place = scan
    for _ in range(MAX_MARKERS if scan >= 0 else 0):
        found = _SEGMENT.search(data, place)
        if found is None:
            break
        if found[0] == _END:
            return found.start()
        place = found.end() + max(2, int.from_bytes(data[found.end():found.end() + 2], 'big'))
    return len(data)


def is_truncated(data: bytes) -> bool:
    """Return whether ``data`` begins as a JPEG does and lacks its end mark.

    What has no scan is left to the decoder.
    """
    scan = read_head(data).scan if data.startswith(b'\xff\xd8') else -1
    return scan >= 0 and not has_end(data, scan)
