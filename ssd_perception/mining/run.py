"""Choose frames of a recording to label, and write them with boxes to correct."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ssd_perception.bags.frames import to_rgb
from ssd_perception.bags.reader import Record, RecoveringBag
from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import SettingError, UserError
from ssd_perception.core.messages import json_rows
from ssd_perception.core.result_folder import result_folder
from ssd_perception.core.signals import sigterm_as_ctrl_c
from ssd_perception.core.text import describe_error
from ssd_perception.data.writers import LabelledImage
from ssd_perception.evaluation.accuracy import MAX_DETECTIONS
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.options import DetectorOptions
from ssd_perception.mining.candidates import Candidates
from ssd_perception.mining.choose import choose_even
from ssd_perception.mining.labelled_folder import image_file, records_of, stems, write_folder
from ssd_perception.mining.page import selection_page
from ssd_perception.mining.selection import ChosenFrame, SelectionSummary
from ssd_perception.mining.thumbnails import small_image, thumbnail
from ssd_perception.replay.cameras import Recording, find_images
from ssd_perception.replay.scan import decode_record
from ssd_perception.replay.thresholds import ScoreThresholds
from ssd_perception.replay.times import FrameTimes
from ssd_perception.viz.tiles import small_frame

_MOST_TILES, _TILE_QUALITY = 60, 85  # on the page


@dataclass(frozen=True)
class MineOptions:
    """What to mine, and how.

    Attributes:
        bag: rosbag2 folder, or one of its files; a broken one is read as far as it goes.
        out: folder to create; one that exists is never touched.
        count: frames wanted, 1 to 1 000 000.
        split: name of the split: letters, digits, ``-`` and ``_``.
        detector: weights, runtime and thresholds; its score threshold is the lowest that becomes
            a box.
        topics: images to look at; empty means all cameras.

    Raises:
        SettingError: for a value out of range.
    """

    bag: Path
    out: Path
    count: int = 50
    split: str = 'train'
    detector: DetectorOptions = DetectorOptions()
    topics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 1_000_000:
            raise SettingError(f'--count must be from 1 to 1000000, got {self.count}.')
        if not self.split.replace('_', '').replace('-', '').isalnum():
            raise SettingError('--split must be letters, digits, - and _, '
                               f'got "{self.split}".')


def run(options: MineOptions, log: Callable[[str], object] = print) -> SelectionSummary:
    """Choose frames and write them into ``options.out``.

    Args:
        log: called with each sentence for the user; a progress bar is drawn in a terminal.

    Raises:
        BagError, DataError, SettingError, OSError: in one sentence.
        KeyboardInterrupt: for Ctrl-C and SIGTERM; nothing is left.
    """
    out = absent(options.out)
    with sigterm_as_ctrl_c(), RecoveringBag(options.bag) as bag:
        recording = find_images(bag, options.topics)
        detector = options.detector.load()
        log(detector.describe())
        chosen = propose(recording, options.count)
        return Selection(replace(options, out=out), detector, chosen).write(
            records_of(recording, chosen.results), str(options.bag))


def absent(out: Path) -> Path:
    """Return the absolute path of a folder to create.

    Raises:
        FileExistsError: when it is there.
    """
    out = out.expanduser().absolute()
    if out.exists():
        raise FileExistsError(f'{out} exists already, and may hold corrected boxes; '
                              'choose another --out.')
    return out


def propose(recording: Recording, count: int) -> Candidates:
    """Look at every frame of a recording; return the up to ``count`` that are chosen from it.

    The choice needs no detections, so the detector looks only at what is chosen.

    Raises:
        BagError: when no image can be decoded.
    """
    results, thumbnails = [], []
    bar = tqdm(recording.records(), 'bag_to_voc', recording.frames, unit='frame', leave=False,
               disable=not sys.stderr.isatty())
    for index, record in enumerate(bar):
        result, image = decode_record(index, record, small_image)
        results.append(result)
        if image is not None:
            thumbnails.append(thumbnail(image))
    if not thumbnails:
        raise recording.unusable([result.error for result in results])
    times = FrameTimes(results)
    readable = [result for result in results if not result.error]
    names = {camera.topic: camera.name for camera in recording.cameras}
    cameras = [names[result.topic] for result in readable]
    seen = np.stack(thumbnails)
    places = choose_even(cameras, seen, count)
    picked = [readable[place] for place in places]
    return Candidates(
        len(results), len(results) - len(readable), tuple(picked),
        tuple(cameras[place] for place in places), tuple(map(times.elapsed_ns, picked)),
        tuple(stems(picked, recording.cameras, times)),
        (*recording.bag.losses(), *times.notes), seen[places])


class Selection:
    """The chosen frames, in which the detector looks for boxes to correct.

    Args:
        options: ``bag`` is not used.
        detector: loaded with ``options.detector``.
        chosen: in the order of the records that ``write`` is given.
    """

    def __init__(self, options: MineOptions, detector: Detector, chosen: Candidates):
        self._options, self._detector, self._chosen = options, detector, chosen
        self._thresholds = ScoreThresholds(detector.settings, detector.class_names)
        self._settings = replace(detector.settings, max_detections=MAX_DETECTIONS,
                                 class_thresholds=(), score_threshold=self._thresholds.lowest)
        self._frames: list[ChosenFrame] = []
        self._tiles: list[tuple[bytes, str]] = []
        self._failures: list[str] = []

    def write(self, records: Iterable[Record], source: str, failed: int = 0) -> SelectionSummary:
        """Write the folder.

        Args:
            records: of the chosen frames.
            source: what the recordings are called.
            failed: the number of recordings that could not be read.

        Raises:
            UserError: when the detector answers none of the frames.
        """
        options, chosen = self._options, self._chosen
        assert self._detector.path is not None  # loaded from weights
        weights = self._detector.path.name
        with result_folder(options.out) as out:
            write_folder(out, options.out.name, options.split, self._images(records),
                         self._thresholds.class_names, weights)
            if self._failures and not self._frames:
                raise UserError(self._failures[0])
            summary = SelectionSummary(
                chosen.frames, chosen.unreadable, tuple(self._frames), source, weights,
                (*chosen.notes, *self._failures, *_too_few(options.count, chosen)),
                options.split, failed)
            (out / 'selection.json').write_text(json.dumps(summary.to_json(), indent=1) + '\n')
            (out / 'selection.html').write_text(selection_page(
                f'{len(self._frames)} frames of {Path(source).name}', summary, self._tiles),
                encoding='utf-8')
        return summary

    def _images(self, records: Iterable[Record]) -> Iterator[tuple[LabelledImage, bytes]]:
        """Detect in each frame; one in which the detector fails is left out."""
        chosen, class_names = self._chosen, self._thresholds.class_names
        bar = tqdm(records, 'detect', len(chosen.stems), unit='frame', leave=False,
                   disable=not sys.stderr.isatty())
        for place, record in enumerate(bar):
            stem = chosen.stems[place]
            try:
                image = to_rgb(record.message)
                found, = self._detector.detect([image], self._settings).detections
            except Exception as error:
                self._failures.append(f'The frame {stem} is left out, because the detector '
                                      f'failed: {describe_error(error)}')
                continue
            kept = self._thresholds.passed(found)
            data, suffix = image_file(record, image)
            labelled = LabelledImage(
                stem, suffix, image.shape[1], image.shape[0], kept.xyxy,
                tuple(class_names[label] for label in kept.labels), tuple(kept.scores.tolist()))
            self._add(place, labelled.file, image, found)
            yield labelled, data

    def _add(self, place: int, file: str, image: np.ndarray, found: Detections) -> None:
        chosen, thresholds = self._chosen, self._thresholds
        result, camera = chosen.results[place], chosen.cameras[place]
        seconds = round(chosen.elapsed_ns[place] / 1e9, 3)
        self._frames.append(ChosenFrame(
            file, result.index, camera, result.stamp_ns, seconds,
            json_rows(thresholds.passed(found), thresholds.class_names)))
        if len(self._tiles) < _MOST_TILES:
            name = f'{camera}, ' if len(set(chosen.cameras)) > 1 else ''
            drawn = small_frame(image, thresholds.passed(found), thresholds.narrowly_missed(found),
                                thresholds.class_names)
            self._tiles.append((encode_jpeg(drawn, _TILE_QUALITY).tobytes(),
                                f'{name}{seconds:.1f} s'))


def _too_few(wanted: int, chosen: Candidates) -> list[str]:
    """Return the note that fewer frames were chosen than wanted; none where they are enough."""
    count = len(chosen.results)
    if count >= wanted:
        return []
    why = ('there are no more' if count == chosen.frames - chosen.unreadable
           else 'every other one looks like one of these')
    return [f'Only {count} frames instead of {wanted}: {why}.']
