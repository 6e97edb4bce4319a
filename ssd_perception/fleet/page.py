"""The page about many recordings: what is in them, where the detector is unsure, what failed."""

from __future__ import annotations

from urllib.parse import quote

from markupsafe import Markup

from ssd_perception.core.format import format_number
from ssd_perception.core.text import counted
from ssd_perception.fleet.summary import FleetSummary, RecordingFigures
from ssd_perception.viz.drawing import class_colour
from ssd_perception.viz.page import cards, document, heading, html, note, swatch, table, warning

MAX_LOSSES = 3  # of a recording


def fleet_page(summary: FleetSummary) -> str:
    """Return the page; it refers to the page of each recording beside it."""
    recordings = summary.recordings
    parts = [cards([
        ('recordings', str(len(recordings)), f'{len(summary.failures)} failed'),
        ('recorded', f'{summary.hours:.2f} h', f'{summary.frames} frames'),
        ('frames refused', str(summary.unreadable), 'could not be decoded'),
        ('cut short', str(len(summary.cut_short)), 'recordings read in part')])]
    if summary.failures:
        parts.append(warning(f'{counted(len(summary.failures), "recording")} could not be '
                             'replayed.', (f'{name}: {why}' for name, why
                                           in sorted(summary.failures.items()))))
    parts += [heading('Classes'), _classes(summary),
              heading('Recordings, the most uncertain first'),
              table(['recording', 'uncertainty', 'seconds', 'frames', 'refused', 'detections',
                     'with detections'], map(_row, summary.by_uncertainty())),
              note('The uncertainty of a frame is the sum over its detections from half the '
                   'threshold on: 1 for a score at the threshold, 0 for a score of 0 or 1; that '
                   'of a recording is the mean over its frames.')]
    if summary.cut_short:
        parts += [heading('Cut short'), table(['recording', 'lost'], [
            [one.name, _losses(one)] for one in summary.cut_short], texts=2)]
    return document(counted(len(recordings) + len(summary.failures), 'recording'), parts)


def _classes(summary: FleetSummary) -> Markup:
    boxes, objects = summary.detections_per_class(), summary.objects_per_class()
    head = ['class', 'boxes', 'boxes per hour'] + ['objects', 'objects per hour'] * bool(objects)

    def cells(count: int) -> list[str]:
        return [str(count), format_number(count / summary.hours if summary.hours else None, '', 0)]
    rows = [[swatch(class_colour(label)) + name, *cells(count),
             *(cells(objects.get(name, 0)) if objects else ())]
            for label, (name, count) in enumerate(boxes.items())]
    return table(head, rows) + note(
        'An object counts once for each of its tracks.' if objects else
        'An object counts in each of its frames; --tracking counts objects.')


def _row(one: RecordingFigures) -> list[str]:
    link = html('<a href="{}/report.html">{}</a>', quote(one.name), one.name)
    share = one.frames_with_detections / one.frames if one.frames else None
    return [link, format_number(one.uncertainty, '', 3), format_number(one.seconds, '', 1),
            str(one.frames), str(one.unreadable), str(one.detections),
            '–' if share is None else f'{share:.0%}']


def _losses(one: RecordingFigures) -> str:
    more = len(one.losses) - MAX_LOSSES
    return ' '.join(one.losses[:MAX_LOSSES]) + (f' And {more} more.' if more > 0 else '')
