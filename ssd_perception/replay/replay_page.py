"""The page of a replay: figures, losses, video, timelines, uncertain frames, latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from ssd_perception.viz.drawing import class_colour
from ssd_perception.viz.page import (
    cards,
    document,
    figure,
    format_number,
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
from ssd_perception.viz.timeline import stage_bars, timeline


def replay_page(title: str, folder: Path, summary: dict, class_names: Sequence[str],
                tracks: Mapping, tiles: Sequence[tuple[bytes, str]],
                videos: Mapping[str, str]) -> str:
    """Return the page; it needs no other file, but videos too large to lie in it.

    Args:
        folder: where the videos are.
        summary: ``replay.summary.figures`` with ``losses``, ``frames_per_s``, ``settings`` and,
            where measured, ``against``.
        tracks: camera -> ``replay.summary.Track``.
        tiles: JPEGs with captions.
        videos: camera -> file name.
    """
    parts = [_cards(summary), _losses(summary), _videos(folder, videos)]
    for name, track in tracks.items():
        if track.seconds:
            camera = f': {name}' if len(tracks) > 1 else ''
            parts += [heading(f'Detections over time{camera}'),
                      wide(timeline(track, class_names, summary['score_threshold']), 760)]
    parts.append(note('Every dot is a detection; rings are those that narrowly missed the '
                      'threshold (dashed).'))
    parts += [_tiles(tiles), _against(summary.get('against'), class_names),
              heading('Classes'), table(['class', 'detections'], [
                  [_class(label, name), str(summary['detections_per_class'][name])]
                  for label, name in enumerate(class_names)]),
              _stages(summary['stages_ms']), _cameras(summary), _settings(summary['settings'])]
    return document(title, [part for part in parts if part])


def _cards(summary: dict) -> Markup:
    speed = summary['frames_per_s']
    shown = [('frames', str(summary['frames']),
              f'{summary["unreadable"]} unreadable' if summary['unreadable'] else
              f'{summary["seconds"]:.1f} s recorded'),
             ('detections', str(summary['detections']),
              f'in {summary["frames_with_detections"]} frames'),
             ('frames/s', format_number(speed, '', 1), summary['settings']['device'])]
    if 'against' in summary:
        figures = summary['against']
        shown.append(('AP50 (VOC 2010)', format_number(figures['voc10_ap50'], '', 3),
                      f'{figures["images"]} labelled frames'))
    return cards(shown)


def _losses(summary: dict) -> str:
    return summary['losses'] and warning('The recording is damaged.', summary['losses'])


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
        'is what narrowly missed it; these frames are worth labelling first.'))


def _against(figures: dict | None, class_names: Sequence[str]) -> str:
    if not figures:
        return ''
    rows = [['all', format_number(figures['voc10_ap50'], '', 3),
             format_number(figures['voc07_ap50'], '', 3),
             str(sum(c['objects'] for c in figures['per_class'].values()))]]
    for label, name in enumerate(class_names):
        row = figures['per_class'][name]
        rows.append([_class(label, name), format_number(row['voc10_ap50'], '', 3),
                     format_number(row['voc07_ap50'], '', 3), str(row['objects'])])
    return join([
        heading('Accuracy'),
        table(['class', 'AP50 (VOC 2010)', 'AP50 (VOC 2007)', 'objects'], rows),
        note(html('Against {}: {} of {} are in the recording. Measured over all scores from 0.01 '
                  'on, as <code>evaluate</code> does.', figures['source'], figures['images'],
                  figures['of']))])


def _stages(stages: Mapping[str, Mapping[str, float]]) -> str:
    if not stages:
        return ''
    return join([
        heading('Time of each stage'), stage_bars(stages),
        table(['stage', 'median', '95 %'],
              [[stage, f'{times["median"]:.1f} ms', f'{times["p95"]:.1f} ms']
               for stage, times in stages.items()]),
        note('Decoding and drawing run beside the networks, of which several may run side by '
             'side; then a frame takes longer than frames/s tell.')])


def _cameras(summary: dict) -> Markup:
    return heading('Topics') + table(['topic', 'frames', 'unreadable', 'detections'], [
        [topic, *(str(row[key]) for key in ('frames', 'unreadable', 'detections'))]
        for topic, row in summary['cameras'].items()])


def _settings(settings: Mapping) -> Markup:
    return heading('Settings') + table(['setting', 'value'], [
        [name.replace('_', ' '), _in_words(value)]
        for name, value in settings.items()], texts=2)


def _class(label: int, name: str) -> Markup:
    return swatch(class_colour(label)) + name


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return '–' if value is None else str(value)
