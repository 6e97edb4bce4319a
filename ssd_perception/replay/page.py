"""The page of a replay: figures, losses, video, timelines, uncertain frames, latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from markupsafe import Markup

from ssd_perception.core.format import format_number
from ssd_perception.replay.ground_truth import ReplayAccuracy
from ssd_perception.replay.summary import (
    CameraCounts,
    ReplaySummary,
    RunSettings,
    StepTime,
)
from ssd_perception.viz.drawing import class_colour
from ssd_perception.viz.page import (
    cards,
    document,
    figure,
    heading,
    html,
    image,
    join,
    note,
    swatch,
    table,
    video,
    warning,
    wide,
)
from ssd_perception.viz.timeline import Track, stage_bars, timeline


def replay_page(title: str, folder: Path, summary: ReplaySummary,
                tracks: Mapping[str, Track], tiles: Sequence[tuple[bytes, str]],
                videos: Mapping[str, str]) -> str:
    """Return the page; it needs no other file, but videos too large to lie in it.

    Args:
        folder: where the videos are.
        summary: what the figures are.
        tracks: camera -> its timeline.
        tiles: JPEGs with captions.
        videos: camera -> file name.
    """
    class_names = tuple(summary.detections_per_class)
    parts = [_cards(summary), _warnings(summary), _videos(folder, videos)]
    for name, track in tracks.items():
        if track.seconds:
            camera = f': {name}' if len(tracks) > 1 else ''
            parts += [heading(f'Detections over time{camera}'),
                      wide(timeline(track, class_names, summary.score_threshold), 760)]
    parts.append(note('Every dot is a detection; rings are those that narrowly missed the '
                      'threshold (dashed).'))
    parts += [_tiles(tiles), _accuracy(summary.ground_truth, class_names),
              heading('Classes'), table(['class', 'detections'], [
                  [_class(label, name), str(summary.detections_per_class[name])]
                  for label, name in enumerate(class_names)]),
              _steps(summary.stages_ms), _cameras(summary.cameras),
              _settings(summary.settings)]
    return document(title, [part for part in parts if part])


def _cards(summary: ReplaySummary) -> Markup:
    speed = summary.frames_per_s
    shown = [('frames', str(summary.frames),
              f'{summary.unreadable} unreadable' if summary.unreadable else
              f'{summary.seconds:.1f} s recorded'),
             ('detections', str(summary.detections),
              f'in {summary.frames_with_detections} frames'),
             ('frames/s', format_number(speed, '', 1), summary.settings.device)]
    if summary.ground_truth is not None:
        figures = summary.ground_truth.accuracy
        shown.append(('AP50 (VOC 2010)', format_number(figures.voc10_ap50, '', 3),
                      f'{figures.images} labelled frames'))
    return cards(shown)


def _warnings(summary: ReplaySummary) -> Markup:
    return join([
        warning('The recording is damaged.', summary.losses) if summary.losses else '',
        warning('', summary.notes) if summary.notes else ''])


def _videos(folder: Path, videos: Mapping[str, str]) -> str:
    shown = [figure(video(folder / name), camera if len(videos) > 1 else '')
             for camera, name in videos.items()]
    return html('<div class="videos">{}</div>', join(shown)) if shown else ''


def _tiles(tiles: Sequence[tuple[bytes, str]]) -> str:
    if not tiles:
        return ''
    shown = join(figure(image(data, caption), caption) for data, caption in tiles)
    return html('{}<div class="gallery">{}</div>{}', heading('Most uncertain frames'), shown, note(
        'The detection in the caption has a score near the threshold. Dashed, with a dark label, '
        'is what narrowly missed it.'))


def _accuracy(measured: ReplayAccuracy | None, class_names: Sequence[str]) -> str:
    if measured is None:
        return ''
    figures = measured.accuracy
    rows = [['all', format_number(figures.voc10_ap50, '', 3),
             format_number(figures.voc07_ap50, '', 3), str(figures.objects)]]
    for label, name in enumerate(class_names):
        row = figures.per_class[name]
        rows.append([_class(label, name), format_number(row.voc10_ap50, '', 3),
                     format_number(row.voc07_ap50, '', 3), str(row.objects)])
    return join([
        heading('Accuracy'),
        table(['class', 'AP50 (VOC 2010)', 'AP50 (VOC 2007)', 'objects'], rows),
        note(html('Ground truth: {}; {} of {} are in the recording. Measured over all scores '
                  'from 0.01 on, as <code>evaluate</code> does.', measured.source,
                  figures.images, measured.of))])


def _steps(steps: Mapping[str, StepTime]) -> str:
    if not steps:
        return ''
    return join([
        heading('Time of each step'), stage_bars({name: asdict(t) for name, t in steps.items()}),
        table(['step', 'median', '95 %'],
              [[name, f'{time.median:.1f} ms', f'{time.p95:.1f} ms']
               for name, time in steps.items()]),
        note('Decoding and drawing run beside the networks, of which several may run side by '
             'side; a frame may then take longer than its share of a second.')])


def _cameras(cameras: Mapping[str, CameraCounts]) -> Markup:
    return heading('Topics') + table(['topic', 'frames', 'unreadable', 'detections'], [
        [topic, str(row.frames), str(row.unreadable), str(row.detections)]
        for topic, row in cameras.items()])


def _settings(settings: RunSettings) -> Markup:
    return heading('Settings') + table(['setting', 'value'], [
        [name.replace('_', ' '), _in_words(value)]
        for name, value in asdict(settings).items()], texts=2)


def _class(label: int, name: str) -> Markup:
    return swatch(class_colour(label)) + name


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return '–' if value is None else str(value)
