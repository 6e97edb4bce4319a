"""The page about drives: figures, the video, how each course ended, ranges over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from sim.episode import Drive
from sim.figures import DriveSummary, matches
from sim.pictures import drive_image
from ssd_perception.core.format import format_number
from ssd_perception.imaging.compressed import encode_jpeg
from ssd_perception.viz.page import cards, document, heading, image, note, table, video, wide
from ssd_perception.viz.timeline import over_time

PAGE = 'report.html'
_PLOTTED = 3  # courses whose ranges are plotted
_ENDS = 20  # courses whose last image is shown


def write_page(folder: Path, drives: Sequence[Drive], summary: DriveSummary) -> None:
    """Write ``report.html`` into a folder that has ``video.webm`` already."""
    positions, tracks = summary.positions, summary.tracks
    parts = [
        cards([('courses', f'{summary.succeeded} of {summary.courses}', 'as wanted'),
               ('range error', _percent(positions.range_error_median),
                f'median; 95 %: {_percent(positions.range_error_p95)}'),
               ('within 2 sigma', _percent(positions.within_2_sigma),
                f'of {positions.count} positions'),
               ('IDF1', format_number(tracks.idf1_of_located), 'of what has a position'),
               ('latency', f'{1000 * summary.latency_s:.0f} ms', 'simulated'),
               ('images lost', f'{100 * summary.loss:.0f} %', 'on purpose')]),
        video(folder / 'video.webm'),
        note(f'Wanted: {summary.wanted}. Distances are from the front of the rover to the '
             'middle of the cone. In the plan, filled shapes are true, rings are the '
             'published positions, and the numbers are their ids.'),
        heading('Courses'), _table(summary)]
    for drive in drives[:_PLOTTED]:
        parts += _ranges(drive)
    parts.append(heading('How they ended'))
    for drive in drives[:_ENDS]:
        if drive.moments:
            last = drive_image(drive, len(drive.moments) - 1)
            small = np.asarray(cv2.resize(last, None, fx=0.5, fy=0.5,
                                          interpolation=cv2.INTER_AREA), np.uint8)
            parts.append(image(encode_jpeg(small, 85), f'The end of course {drive.course.seed}'))
    (folder / PAGE).write_text(document('A rover follows a cone', parts), encoding='utf-8')


def _table(summary: DriveSummary) -> str:
    rows = [[str(row.seed), row.kind, 'yes' if row.success else row.failure,
             format_number(row.distance_m, ' m', 2), format_number(row.seconds, ' s', 1),
             str(row.images), str(row.images_lost)] for row in summary.each]
    return table(['seed', 'kind', 'success', 'distance', 'driven', 'images', 'lost'], rows, 3)


def _ranges(drive: Drive) -> list[str]:
    """Return a plot of the true and estimated range of the right cone over time."""
    if len(drive.moments) < 2:
        return []
    start = drive.moments[0].stamp_ns
    seconds = [(moment.stamp_ns - start) / 1e9 for moment in drive.moments]
    found = [next((m for m in matches(drive, moment) if m.thing == 0), None)
             for moment in drive.moments]
    lines = {'estimated': [None if m is None else m.range_m for m in found],
             'true': [None if m is None else m.true_range_m for m in found]}
    title = f'Range of the right cone, course {drive.course.seed}'
    return [heading(title), wide(over_time(seconds, lines, 'm', title), 640)]


def _percent(share: float | None) -> str:
    return '-' if share is None else f'{100 * share:.1f} %'
