"""Tracks: who keeps an id, who gets one, and when all begins anew."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from drives import THRESHOLDS, drive
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_perception.core.detections import Detections
from ssd_perception.core.frame import Frame
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.scene.camera_motion import Turn
from ssd_perception.scene.tracks import Tracker, TrackSettings, TrackStage

START_NS, STEP_NS = 10 ** 18, 10 ** 8
PUBLISHED = PostprocessSettings(0.5)
BOX = (300.0, 200.0, 340.0, 260.0)


def detections(*rows):
    """Return Detections of (box, score, label) rows, best first."""
    rows = sorted(rows, key=lambda row: -row[1])
    return Detections(np.array([row[0] for row in rows]).reshape(-1, 4),
                      [row[1] for row in rows], [row[2] for row in rows])


def ids_of(tracker, frames, step_ns=STEP_NS, start_ns=START_NS):
    """Return the list of ids of each frame; a frame is a list of (box, score, label)."""
    return [tracker.update(start_ns + k * step_ns, detections(*rows), THRESHOLDS).ids.tolist()
            for k, rows in enumerate(frames)]


def test_nothing_found_is_nothing_tracked():
    assert ids_of(Tracker(TrackSettings(confirm=2)), [[], []]) == [[], []]


@pytest.mark.parametrize(('confirm', 'expected'), [
    (1, [[1], [1], [1]]), (2, [[], [1], [1]]), (3, [[], [], [1]])])
def test_a_track_is_published_from_its_nth_frame_on(confirm, expected):
    frames = [[(BOX, 0.9, 0)]] * 3
    assert ids_of(Tracker(TrackSettings(confirm=confirm)), frames) == expected


def test_a_weak_box_continues_a_track_but_begins_none():
    strong, weak = (BOX, 0.9, 0), (BOX, 0.35, 0)
    away = ((20.0, 20.0, 60.0, 60.0), 0.45, 0)
    frames = [[strong], [strong], [weak, away], [weak, away], [weak, away]]
    assert ids_of(Tracker(TrackSettings(confirm=2)), frames) == [[], [1], [1], [1], [1]]


def test_a_box_below_the_low_score_is_ignored():
    frames = [[(BOX, 0.9, 0)]] * 2 + [[(BOX, 0.15, 0)]]
    assert ids_of(Tracker(TrackSettings(confirm=2)), frames)[-1] == []


@pytest.mark.parametrize(('gone', 'expected'), [(3, [1]), (4, [])])
def test_a_track_survives_so_many_misses(gone, expected):
    frames = [[(BOX, 0.9, 0)]] * 2 + [[]] * gone + [[(BOX, 0.9, 0)]]
    assert ids_of(Tracker(TrackSettings(confirm=2, misses=3)), frames)[-1] == expected


def test_lost_images_count_as_misses():
    tracker = Tracker(TrackSettings(confirm=2, misses=3))
    ids_of(tracker, [[(BOX, 0.9, 0)]] * 5)
    late = tracker.update(START_NS + 7 * STEP_NS, detections((BOX, 0.9, 0)), THRESHOLDS)
    assert late.ids.tolist() == [1]
    later = tracker.update(START_NS + 12 * STEP_NS, detections((BOX, 0.9, 0)), THRESHOLDS)
    assert later.ids.tolist() == []


@pytest.mark.parametrize('first', [3, 1])
def test_a_jump_of_decades_ends_tracks_whatever_the_stamps_were_before(first):
    tracker = Tracker(TrackSettings())
    stamps = [START_NS] * first + [START_NS + 10 ** 18] * 2
    assert [tracker.update(stamp, detections((BOX, 0.9, 0)), THRESHOLDS).ids.tolist()
            for stamp in stamps] == [[1]] * first + [[2]] * 2


@pytest.mark.parametrize('then_ns', [START_NS - 10 ** 10, START_NS + 10 ** 11])
def test_a_jump_of_the_clock_begins_anew_with_ids_never_used(then_ns):
    tracker = Tracker(TrackSettings(confirm=2))
    assert ids_of(tracker, [[(BOX, 0.9, 0)]] * 3)[-1] == [1]
    assert ids_of(tracker, [[(BOX, 0.9, 0)]] * 3, start_ns=then_ns) == [[], [2], [2]]


def stage_of(**values):
    """Return a TrackStage that publishes two classes from 0.5 on."""
    stage = TrackStage(TrackSettings(**values))
    stage.prepare(PUBLISHED, ('cone', 'cube'))
    return stage


def test_a_reset_keeps_ids_unused():
    stage = stage_of()
    frame = Frame('left', START_NS, 'optical', None)
    assert stage(frame, detections((BOX, 0.9, 0))).ids.tolist() == [1]
    stage.reset()
    assert stage(frame, detections((BOX, 0.9, 0))).ids.tolist() == [2]


def test_other_thresholds_keep_tracks():
    stage = stage_of()
    for number, threshold in enumerate((0.5, 0.95)):
        stage.prepare(replace(PUBLISHED, score_threshold=threshold), ('cone', 'cube'))
        frame = Frame('', START_NS + number * STEP_NS, 'optical', None)
        assert stage(frame, detections((BOX, 0.9, 0))).ids.tolist() == [1]


def test_the_detector_is_asked_for_weaker_boxes_than_are_published():
    published = PostprocessSettings(0.6, (('cone', 0.7), ('cube', 0.1)), max_detections=3,
                                    classes=('cone',))
    wanted = stage_of(low_score=0.25).prepare(published, ('cone', 'cube'))
    assert wanted.score_threshold == 0.25
    assert wanted.class_thresholds == (('cone', 0.25), ('cube', 0.1))
    assert wanted.max_detections > 3 and wanted.classes == ('cone',)
    assert stage_of(low_score=0.9).prepare(published, ('cone', 'cube')).score_threshold == 0.6


def test_a_camera_that_sets_no_stamps_is_tracked():
    frames = [[(BOX, 0.9, 0)]] * 3
    tracker = Tracker(TrackSettings(confirm=2))
    assert ids_of(tracker, frames, step_ns=0, start_ns=0) == [[], [1], [1]]


def test_classes_are_tracked_apart():
    frames = [[(BOX, 0.9, 0)]] * 2 + [[(BOX, 0.9, 1)]] * 2
    assert ids_of(Tracker(TrackSettings(confirm=2)), frames) == [[], [1], [], [2]]


def test_a_class_that_is_not_wanted_gets_no_track():
    tracker, wanted = Tracker(TrackSettings(confirm=1)), np.array([0.5, 2.0])
    found = tracker.update(START_NS, detections((BOX, 0.99, 1)), wanted)
    assert len(found) == 0


def test_each_camera_has_its_own_tracks():
    stage = stage_of(confirm=2)
    found = {}
    for k in range(2):
        for camera in ('left', 'right'):
            found[camera] = stage(Frame(camera, START_NS + k * STEP_NS, 'optical', None),
                                  detections((BOX, 0.9, 0)))
    assert found['left'].ids.tolist() == found['right'].ids.tolist() == [1]


def test_no_more_than_max_detections_are_published():
    boxes = [((100.0 * k, 10.0, 100.0 * k + 50, 60.0), 0.6 + 0.05 * k, 0) for k in range(4)]
    stage = stage_of()
    stage.prepare(replace(PUBLISHED, max_detections=2), ('cone', 'cube'))
    found = stage(Frame('', START_NS, 'optical', None), detections(*boxes))
    assert found.scores.tolist() == pytest.approx([0.75, 0.7])


def test_ids_stay_through_a_turn_that_moves_every_box_past_its_neighbour():
    spots = [(x, 200 + 4 * k, x + 30, 245 + 4 * k) for k, x in enumerate(
        (20, 75, 190, 250, 385, 460))]
    shifts = [0, 0, 0, 70, 160, 250, 250]
    frames = [[((a + dx, b, c + dx, d), 0.9 - 0.01 * k, 0)
               for k, (a, b, c, d) in enumerate(spots) if c + dx < 640] for dx in shifts]
    found = ids_of(Tracker(TrackSettings(confirm=1)), frames)
    assert found == [[1, 2, 3, 4, 5, 6][:len(rows)] for rows in frames]


@given(st.lists(st.tuples(st.lists(st.tuples(
    st.integers(0, 9), st.sampled_from([0.1, 0.3, 0.6, 0.9]), st.integers(0, 1)), max_size=8),
    st.integers(-2, 30)), max_size=12), st.integers(1, 3), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_whatever_arrives_ids_are_single_and_never_come_back(frames, confirm, misses):
    tracker = Tracker(TrackSettings(confirm=confirm, misses=misses))
    stamp_ns, seen_at, weak_at = START_NS, {}, -1
    for number, (rows, steps) in enumerate(frames):
        stamp_ns += steps * STEP_NS
        given_in = detections(*(((40.0 * k, 50.0, 40.0 * k + 45, 90.0), score, label)
                                for k, score, label in rows))
        found = tracker.update(stamp_ns, given_in, THRESHOLDS)
        ids = found.ids.tolist()
        assert len(set(ids)) == len(ids)
        for track in ids:
            if track in seen_at:  # it was there lately, or a weak box that is not shown
                assert number - max(seen_at[track], weak_at) <= misses + 1
            seen_at[track] = number
        weak_at = number if any(score >= 0.2 for _, score, _ in rows) else weak_at
        assert (found.scores >= 0.2).all()


def test_with_the_detectors_faults_a_track_stays_with_its_object():
    right = shown = changes = 0
    for seed in range(6):
        tracker, tracks, last = Tracker(TrackSettings(confirm=2)), defaultdict(Counter), {}
        for frame in drive(seed):
            found = tracker.update(frame.stamp_ns, frame.detections, THRESHOLDS)
            which = {tuple(box): int(thing) for box, thing in zip(
                frame.detections.xyxy.tolist(), frame.objects)}
            for box, track in zip(found.xyxy.tolist(), found.ids.tolist()):
                thing = which[tuple(box)]
                tracks[track][thing] += 1
                if thing >= 0:
                    changes += last.get(thing, track) != track
                    last[thing] = track
        right += sum(counts.most_common(1)[0][1] for counts in tracks.values())
        shown += sum(sum(counts.values()) for counts in tracks.values())
    assert right / shown > 0.97
    assert changes / 6 < 4


def test_detections_are_not_changed_but_for_ids():
    frame = drive(3)[40]
    tracker = Tracker(TrackSettings(confirm=1))
    found = tracker.update(frame.stamp_ns, frame.detections, THRESHOLDS)
    strong = frame.detections.scores >= 0.5
    assert len(found) == strong.sum() > 0
    np.testing.assert_array_equal(found.xyxy, frame.detections.xyxy[strong])
    np.testing.assert_array_equal(found.scores, frame.detections.scores[strong])


@pytest.mark.parametrize(('values', 'word'), [
    ({'confirm': 0}, 'confirmations'), ({'misses': -1}, 'misses'), ({'low_score': 1.5}, 'score')])
def test_impossible_settings_are_refused(values, word):
    with pytest.raises(ValueError, match=word):
        TrackSettings(**values)


def test_weak_boxes_alone_do_not_keep_an_object_published():
    frames = [[(BOX, 0.55, 0)]] + [[(BOX, 0.3, 0)]] * 4 + [[(BOX, 0.55, 0)]]
    shown = ids_of(Tracker(TrackSettings()), frames)
    assert shown[0] == shown[-1] == [1]  # the track lives on, with its id
    assert shown[2:5] == [[], [], []]


def test_a_weak_box_on_a_better_one_of_another_class_continues_no_track():
    cube, cone = (BOX, 0.8, 1), (BOX, 0.4, 0)
    frames = [[(BOX, 0.95, 0)]] * 3 + [[cube, cone]]
    assert ids_of(Tracker(TrackSettings()), frames) == [[1], [1], [1], [2]]


def test_a_far_object_behind_a_near_one_that_left_gets_an_id_of_its_own():
    near, far = ((0.0, 180.0, 64.0, 350.0), 0.9, 0), ((10.0, 170.0, 70.0, 220.0), 0.9, 0)
    assert ids_of(Tracker(TrackSettings()), [[near], [near], [far], [far]]) == [
        [1], [1], [2], [2]]


def test_a_turn_of_the_camera_is_followed_without_any_other_object():
    tracker, far = Tracker(TrackSettings()), tuple(np.add(BOX, (150.0, 0, 150.0, 0)))
    assert ids_of(tracker, [[(BOX, 0.9, 0)]] * 3)[-1] == [1]
    stamp = START_NS + 3 * STEP_NS
    # a box of other proportions: the boxes alone explain no shift
    other = (far[0], far[1], far[2], far[1] + 0.6 * (far[3] - far[1]))
    found = tracker.update(stamp, detections((other, 0.9, 0)), THRESHOLDS,
                           Turn(np.array([150.0, 0.0]), (640.0, 480.0)))
    assert found.ids.tolist() == [1]


def test_more_objects_than_references_and_a_box_like_none_of_the_largest():
    large = [((60.0 * k, 100.0, 60.0 * k + 50, 200.0), 0.9, 0) for k in range(9)]
    small = ((600.0, 300.0, 620.0, 320.0), 0.9, 1)
    frames = [[*large, small]] * 2 + [[((500.0, 300.0, 520.0, 320.0), 0.9, 1)]]
    assert len(ids_of(Tracker(TrackSettings()), frames)[-1]) == 1
