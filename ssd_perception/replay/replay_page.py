"""The page of a replay: figures, losses, video, timelines, uncertain frames, latencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from ssd_perception.viz.drawing import class_colour
from ssd_perception.viz.page import (
    MAX_EMBEDDED_BYTES,
    cards,
    document,
    embedded,
    format_number,
    swatch,
    table,
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
            camera = f': {escape(name)}' if len(tracks) > 1 else ''
            parts += [f'<h2>Detections over time{camera}</h2>',
                      wide(timeline(track, class_names, summary['score_threshold']), 760)]
    parts.append('<p class="note">Every dot is a detection; rings are those that narrowly missed '
                 'the threshold (dashed).</p>')
    parts += [_tiles(tiles), _against(summary.get('against'), class_names),
              '<h2>Classes</h2>', table(['class', 'detections'], [
                  [_class(label, name), str(summary['detections_per_class'][name])]
                  for label, name in enumerate(class_names)]),
              _stages(summary['stages_ms']), _cameras(summary), _settings(summary['settings'])]
    return document(title, [part for part in parts if part])


def _cards(summary: dict) -> str:
    speed = summary['frames_per_s']
    shown = [('frames', str(summary['frames']),
              f'{summary["unreadable"]} unreadable' if summary['unreadable'] else
              f'{summary["seconds"]:.1f} s recorded'),
             ('detections', str(summary['detections']),
              f'in {summary["frames_with_detections"]} frames'),
             ('frames/s', format_number(speed, '', 1), escape(summary['settings']['device']))]
    if 'against' in summary:
        figures = summary['against']
        shown.append(('AP50 (VOC 2010)', format_number(figures['voc10_ap50'], '', 3),
                      f'{figures["images"]} labelled frames'))
    return cards(shown)


def _losses(summary: dict) -> str:
    if not summary['losses']:
        return ''
    return ('<p class="warning"><b>The recording is damaged.</b> '
            + '<br>'.join(map(escape, summary['losses'])) + '</p>')


def _videos(folder: Path, videos: Mapping[str, str]) -> str:
    shown = []
    for camera, name in videos.items():
        path = folder / name
        source = (embedded(path.read_bytes(), 'video/webm')
                  if path.stat().st_size <= MAX_EMBEDDED_BYTES else name)
        caption = f'<figcaption>{escape(camera)}</figcaption>' if len(videos) > 1 else ''
        shown.append(f'<figure><video controls loop muted playsinline src="{source}"></video>'
                     f'{caption}</figure>')
    return f'<div class="videos">{"".join(shown)}</div>' if shown else ''


def _image(data: bytes, kind: str, alternative: str) -> str:
    return f'<img alt="{escape(alternative)}" src="{embedded(data, kind)}">'


def _tiles(tiles: Sequence[tuple[bytes, str]]) -> str:
    if not tiles:
        return ''
    shown = ''.join(f'<figure>{_image(data, "image/jpeg", caption)}'
                    f'<figcaption>{escape(caption)}</figcaption></figure>'
                    for data, caption in tiles)
    return ('<h2>Most uncertain frames</h2><div class="gallery">' + shown + '</div>'
            '<p class="note">The detection in the caption has a score near the threshold. Dashed, '
            'with a dark label, is what narrowly missed it; these frames are worth labelling '
            'first.</p>')


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
    return ('<h2>Accuracy</h2>'
            + table(['class', 'AP50 (VOC 2010)', 'AP50 (VOC 2007)', 'objects'], rows)
            + f'<p class="note">Against {escape(figures["source"])}: {figures["images"]} of '
            f'{figures["of"]} are in the recording. Measured over all scores from 0.01 on, as '
            '<code>evaluate</code> does.</p>')


def _stages(stages: Mapping[str, Mapping[str, float]]) -> str:
    if not stages:
        return ''
    return ('<h2>Time of each stage</h2>'
            + stage_bars(stages)
            + table(['stage', 'median', '95 %'],
                    [[stage, f'{times["median"]:.1f} ms', f'{times["p95"]:.1f} ms']
                     for stage, times in stages.items()])
            + '<p class="note">Decoding and drawing run beside the networks, of which several may '
            'run side by side; then a frame takes longer than frames/s tell.</p>')


def _cameras(summary: dict) -> str:
    return '<h2>Topics</h2>' + table(['topic', 'frames', 'unreadable', 'detections'], [
        [escape(topic), *(str(row[key]) for key in ('frames', 'unreadable', 'detections'))]
        for topic, row in summary['cameras'].items()])


def _settings(settings: Mapping) -> str:
    return '<h2>Settings</h2>' + table(['setting', 'value'], [
        [escape(name.replace('_', ' ')), escape(_in_words(value))]
        for name, value in settings.items()], texts=2)


def _class(label: int, name: str) -> str:
    return swatch(class_colour(label)) + escape(name)


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return '–' if value is None else str(value)
