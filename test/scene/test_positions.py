"""Positions: three methods against simulated truth, and every case that gives none."""

import numpy as np
import pytest
from cameras import (
    DISTORTIONS,
    as_stereo_has_it,
    boxes,
    camera,
    cylinder_box,
    depth_image,
    lying_cone_box,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import SettingError
from ssd_perception.scene import box_rays, positions
from ssd_perception.scene.camera_model import mounting
from ssd_perception.scene.positions import PositionSettings, View, locate, plausible

LEVEL = mounting(0.0, 0.0, 0.35, 0.0, 0.19, 0.0)
HEIGHTS = {'cone': (0.3, 0.3)}


def found(box, view, methods, class_heights=HEIGHTS, **more):
    """Return the Position of one box."""
    return locate(boxes(box), view, PositionSettings(methods, class_heights, **more),
                  ('cone',))[0]


def test_nothing_detected_has_no_positions():
    assert locate(Detections.empty(), View(camera(), LEVEL), PositionSettings(), ('cone',)) == []


@pytest.mark.parametrize('method', positions.METHODS)
@given(ahead=st.floats(1.0, 4.0), left=st.floats(-0.4, 0.4), roll=st.floats(-0.15, 0.15),
       pitch=st.floats(0.1, 0.3), yaw=st.floats(-0.2, 0.2), offset=st.floats(-0.3, 0.3))
@settings(max_examples=25, deadline=None)
def test_a_clean_box_gives_the_objects_place_however_the_camera_is_mounted(
        method, ahead, left, roll, pitch, yaw, offset):
    lens, mount = camera(), mounting(offset, -offset, 0.35, roll, pitch, yaw)
    x, y = ahead, ahead * left
    box = cylinder_box(lens, mount, x, y)
    if positions._cut(box[None], lens)[0]:
        return
    direction = mount[:3, :3].T @ (np.array([x, y, 0.15]) - mount[:3, 3])
    depth = depth_image(lens, box, direction[2] - 0.06)
    position = found(box, View(lens, mount, depth), (method,))
    assert position.method == method
    away = np.hypot(x - offset, y + offset)
    # rolled, a box is taller than its object: by its width times the roll
    limit = 0.06 + abs(roll) * (0.9 if method == 'height' else 0.2)
    assert np.hypot(*(position.xyz[:2] - [x, y])) < limit * away + 0.02
    assert position.xyz[2] == pytest.approx(0.15, abs=0.08)


@pytest.mark.parametrize('model', DISTORTIONS)
def test_a_lens_with_distortion_is_undone(model):
    lens, x, y = camera(model, DISTORTIONS[model]), 4.0, 1.2
    box = cylinder_box(lens, LEVEL, x, y)
    right, ignored = (np.hypot(*(found(box, View(used, LEVEL), ('ground',)).xyz[:2] - [x, y]))
                      for used in (lens, camera()))
    assert right < 0.01 * np.hypot(x, y) and ignored > 0.03 * np.hypot(x, y)


def test_the_mounting_at_the_images_stamp_counts_not_a_later_one():
    # a robot that turns by 1 rad/s, and a transform that is 100 ms late
    lens, at_stamp = camera(), mounting(0, 0, 0.35, 0, 0.19, 0.3)
    late = mounting(0, 0, 0.35, 0, 0.19, 0.4)
    box = cylinder_box(lens, at_stamp, 2.0, 0.6)
    right, wrong = (found(box, View(lens, mount), ('ground',)) for mount in (at_stamp, late))
    assert np.hypot(*(right.xyz[:2] - [2.0, 0.6])) < 0.05
    assert np.hypot(*(wrong.xyz[:2] - [2.0, 0.6])) > 0.15


def test_a_floor_below_the_frames_origin():
    lens, mount = camera(), mounting(0, 0, 0.25, 0, 0.19, 0)
    box = cylinder_box(lens, mount, 2.0, 0.1, z=-0.1)
    position = found(box, View(lens, mount), ('ground',), floor_z=-0.1)
    np.testing.assert_allclose(position.xyz, [2.0, 0.1, 0.05], atol=0.04)


def test_the_preferred_method_that_is_available_is_used():
    lens = camera()
    box = cylinder_box(lens, LEVEL, 2.0, 0.0)
    full = View(lens, LEVEL, depth_image(lens, box, 1.85))
    empty = View(lens, LEVEL, np.full((480, 640), np.nan, np.float32))
    assert found(box, full, positions.METHODS).method == 'depth'
    assert found(box, empty, positions.METHODS).method == 'ground'
    assert found(box, empty, ('depth', 'height')).method == 'height'
    nothing = found(box, empty, ('depth', 'height'), {})
    assert nothing.xyz is None and nothing.reason == positions.NOTHING


@pytest.mark.parametrize(('box', 'reason'), [
    ((0.0, 200.0, 60.0, 300.0), positions.CUT),
    ((600.0, 200.0, 640.0, 300.0), positions.CUT),
    ((300.0, 400.0, 360.0, 480.0), positions.CUT),
    ((300.0, 0.0, 360.0, 300.0), positions.CUT),
    ((300.0, 60.0, 330.0, 120.0), positions.HORIZON),
    ((300.0, 130.0, 310.0, 151.0), positions.FAR),
    ((200.0, 100.0, 400.0, 300.0), positions.SIZE)])
def test_a_box_that_cannot_be_located_has_a_reason_and_no_place(box, reason):
    position = found(box, View(camera(), LEVEL), ('ground', 'height'))
    assert position.xyz is None and position.reason == reason


@pytest.mark.parametrize('method', ['ground', 'height'])
@pytest.mark.parametrize('x', [-0.3, -0.1, 0.0, 0.1, 0.2])
def test_a_camera_that_looks_straight_down_gives_no_wrong_place(method, x):
    """Behind the point below it a box is upside down: places were off by 0.1 m and underground."""
    lens, down = camera(), mounting(0, 0, 1.2, 0, np.pi / 2, 0)
    box = cylinder_box(lens, down, x, 0.03, radius=0.05, height=0.1)
    position = found(box, View(lens, down), (method,), {'cone': (0.09, 0.11)}, size_tolerance=0)
    if method == 'height' or x <= 0:
        assert position.xyz is None and position.reason == (
            positions.BELOW if method == 'ground' else positions.NOTHING)
    else:
        assert np.hypot(*(position.xyz[:2] - [x, 0.03])) < 0.03


@pytest.mark.parametrize('x', [-0.2, 0.0, 0.01, 0.2])
def test_with_depth_a_camera_that_looks_straight_down_gives_the_place(x):
    lens, down = camera(), mounting(0.0, 0.0, 1.5, 0.0, np.pi / 2, 0.0)
    box = cylinder_box(lens, down, x, 0.01)
    place = found(box, View(lens, down, depth_image(lens, box, 1.2)), ('depth',))
    away, deviations = np.abs(place.xyz - [x, 0.01, 0.15]), np.sqrt(np.diag(place.covariance))
    assert (away < 2 * deviations).all() and 0.004 < deviations.min()
    assert deviations.max() < 0.15


@pytest.mark.parametrize('method', ['ground', 'height'])
@pytest.mark.parametrize('roll', [-2.4, -1.2, -0.7, 0.7, 1.4, 3.1])
def test_in_the_image_of_a_camera_on_its_side_no_edge_is_the_lower_one(method, roll):
    """Between 30 and 85 degrees places were off by up to 80 % of the range, or many times it."""
    lens, aside = camera(), mounting(0, 0, 0.35, roll, 0.19, 0)
    position = found(cylinder_box(lens, aside, 2.0, 0.1), View(lens, aside), (method,),
                     size_tolerance=0)
    assert position.xyz is None
    assert abs(roll) > 2 or position.reason == positions.LEANS


@pytest.mark.parametrize('pitch', [0.5, 0.8])
def test_from_above_the_upper_edge_is_less_certain_and_the_covariance_holds_that(pitch):
    lens, above = camera(), mounting(0, 0, 1.0, 0, pitch, 0)
    box = cylinder_box(lens, above, 1.4, 0.0)
    position = found(box, View(lens, above), ('height',))
    away = abs(position.xyz[0] - 1.4)
    assert 0.05 < away < 2 * np.sqrt(position.covariance[0, 0])


def test_outside_of_the_lens_model_there_is_no_place():
    lens = camera('plumb_bob', (-1.2, 0.0, 0.0, 0.0, 0.0))
    position = found((560.0, 400.0, 630.0, 470.0), View(lens, LEVEL), ('ground',), {})
    assert position.xyz is None and position.reason == positions.LENS


@pytest.mark.parametrize('broken', ['depth', 'mounting', 'shift'])
@pytest.mark.filterwarnings('error')
def test_numbers_without_end_are_no_place(broken):
    """A target of NaN would reach the navigation."""
    lens, box, mount = camera(), (300.0, 200.0, 340.0, 300.0), LEVEL.copy()
    depth = depth_image(lens, np.array(box), 3e38 if broken == 'depth' else 2.0)
    if broken == 'mounting':
        mount[:3, :3] = 1.7e308
    elif broken == 'shift':
        mount[0, 3] = np.nan
    position = found(box, View(lens, mount, depth), ('depth',), {})
    assert position.xyz is None and position.reason in (positions.NUMBERS, positions.LENS)


def test_depth_of_the_wall_behind_is_not_taken_for_the_objects():
    lens = camera()
    box = cylinder_box(lens, LEVEL, 2.0, 0.0)
    through = View(lens, LEVEL, np.full((480, 640), 6.0, np.float32))
    assert found(box, through, ('depth',)).reason == positions.SIZE


def _sample(method, rng, tilt=positions.TILT, count=400):
    """Return ranges, range errors and their standard deviations, of noisy boxes and mountings.

    Boxes have the detector's noise, the mounting is off by ``tilt`` as the parameter claims, and
    depth images have the faults of a stereo camera; objects are deeper or less deep than wide.
    """
    lens, found_ones = camera(), []
    while len(found_ones) < count:
        x, y = rng.uniform(0.9, 4.5), rng.uniform(-0.8, 0.8)
        roll, pitch, yaw = tilt * rng.standard_normal(3)
        true = mounting(0, 0, 0.35, roll, 0.19 + pitch, yaw)
        radius, height = rng.uniform(0.10, 0.14), rng.uniform(0.28, 0.32)
        clean = cylinder_box(lens, true, x, y, radius, height)
        tall = clean[3] - clean[1]
        lower, side = (share * tall + pixels for share, pixels in (
            (box_rays.LOWER, box_rays.LOWER_PX), (box_rays.SIDE, box_rays.SIDE_PX)))
        box = clean + rng.standard_normal(4) * [side, lower, side, lower]
        if positions._cut(box[None], lens)[0]:
            continue
        ahead = (true[:3, :3].T @ (np.array([x, y, 0.15]) - true[:3, 3]))[2]
        depth = depth_image(lens, clean, ahead - rng.uniform(0.3, 0.9) * radius)
        if method == 'depth':
            x1, y1, x2, y2 = np.round(np.clip(clean + [-24, -24, 24, 24], 0, 640)).astype(int)
            seen = depth[y1:y2, x1:x2]
            seen[:] = as_stereo_has_it(seen, rng)  # the rest is not looked at
            depth = depth * (1 + positions._DEPTH * rng.standard_normal()) + (
                positions._DEPTH_M * rng.standard_normal())
        place = found(box, View(lens, LEVEL, depth, tilt=tilt), (method,),
                      {'cone': (0.28, 0.32)}, size_tolerance=2.0)
        if place.xyz is None:
            continue
        away = np.array([x, y]) / np.hypot(x, y)
        # not every object is as deep as it is wide; the depth image's nearness varies above
        deeper = 0 if method == 'depth' else positions._DEEP * radius * rng.standard_normal()
        found_ones.append((np.hypot(x, y), (place.xyz[:2] - [x, y]) @ away - deeper,
                           np.sqrt(away @ place.covariance[:2, :2] @ away)))
    return np.array(found_ones).T


@pytest.mark.parametrize(('method', 'tilt', 'median', 'most'), [
    ('depth', positions.TILT, 0.03, 0.08), ('ground', positions.TILT, 0.05, 0.15),
    ('ground', positions.TILT_OF_FIXED, 0.05, 0.15), ('height', positions.TILT, 0.05, 0.15)])
def test_the_covariance_holds_the_truth_and_the_error_is_small(method, tilt, median, most):
    ranges, errors, deviations = _sample(method, np.random.default_rng(5), tilt)
    relative = np.abs(errors) / ranges
    assert np.median(relative) <= median and np.quantile(relative, 0.95) <= most
    assert 0.90 <= np.mean(np.abs(errors) < 2 * deviations) <= 0.98


def _of_a_leaning_camera(method, lean, rng, count=120):
    """Return (count, 2, 2): errors along and across the line of sight, and their deviations.

    Cones and cylinders up to 5 m away, through cameras of any height and pitch with a roll of
    ``lean`` degrees to either side; boxes and mountings have the noise that is claimed.
    """
    lens, rows = camera(), []
    while len(rows) < count:
        roll, pitch = np.radians(lean) * rng.choice([-1, 1]), rng.uniform(0.1, 0.4)
        above, turned = rng.uniform(0.25, 1.0), positions.TILT * rng.standard_normal(3)
        true = mounting(0, 0, above, *(turned + [roll, pitch, 0]))
        x, y = rng.uniform(0.9, 5.0), rng.uniform(-0.9, 0.9)
        radius, height = rng.uniform(0.10, 0.14), rng.uniform(0.28, 0.34)
        clean = cylinder_box(lens, true, x, y, radius, height, tip=(1.0, 0.15)[len(rows) % 2])
        wide, tall = clean[2:] - clean[:2]
        middle, half = (box_rays.SIDE * wide + box_rays.SIDE_PX) * rng.standard_normal(2)
        box = clean + [middle - half, (box_rays.HEIGHT * tall + box_rays.HEIGHT_PX)
                       * rng.standard_normal(), middle + half,
                       (box_rays.LOWER * tall + box_rays.LOWER_PX) * rng.standard_normal()]
        if positions._cut(box[None], lens)[0] or tall < 16 or np.hypot(x, y) > 5:
            continue
        ahead = (true[:3, :3].T @ (np.array([x, y, height / 2]) - true[:3, 3]))[2]
        depth = None if method != 'depth' else depth_image(
            lens, clean, (ahead - rng.uniform(0.3, 0.9) * radius) * (
                1 + positions._DEPTH * rng.standard_normal()))
        place = found(box, View(lens, mounting(0, 0, above, roll, pitch, 0), depth), (method,),
                      {'cone': (0.28, 0.34)}, size_tolerance=2.5)
        if place.xyz is None:
            continue
        along = np.array([x, y]) / np.hypot(x, y)
        axes = np.array([along, [-along[1], along[0]]])
        errors = axes @ (place.xyz[:2] - [x, y])
        if method != 'depth':  # not every object is as deep as it is wide
            errors[0] -= positions._DEEP * radius * rng.standard_normal()
        rows.append((errors, np.sqrt(np.diag(axes @ place.covariance[:2, :2] @ axes.T))))
    return np.array(rows)


@pytest.mark.parametrize('method', positions.METHODS)
def test_the_covariance_holds_the_truth_however_the_camera_leans(method):
    rng, held = np.random.default_rng(2), []
    for lean in range(0, 31, 5):
        errors, deviations = _of_a_leaning_camera(method, lean, rng).swapaxes(0, 1)
        held.append((np.abs(errors) < 2 * deviations).mean(0))
    assert np.min(held) >= 0.90 and np.mean(held) <= 0.98, held


def _seen_aside(way, lens, x, y, rng):
    """Return boxes (n, 4); the first is that of an object at x, y, seen the way that is named."""
    if way == 'lying':
        return lying_cone_box(lens, LEVEL, x, y, rng.uniform(0, 2 * np.pi))[None]
    box = cylinder_box(lens, LEVEL, x, y)
    if way == 'standing':
        return box[None]
    x1, y1, x2, y2 = box
    share, below, wide = rng.uniform(0, 0.5), 0.2 * (y2 - y1), x2 - x1
    if rng.random() < 0.5:  # a nearer object, lower in the image, hides one side or the other
        edge = x1 + share * wide
        return np.array([[edge, y1, x2, y2], [edge - wide, y1 + below, edge, y2 + below]])
    edge = x2 - share * wide
    return np.array([[x1, y1, edge, y2], [edge, y1 + below, edge + wide, y2 + below]])


@pytest.mark.parametrize('method', positions.METHODS)
@pytest.mark.parametrize('way', ['standing', 'lying', 'hidden in part'])
def test_the_covariance_across_holds_what_lies_and_what_is_hidden_in_part(way, method):
    lens, rng, held, deviations = camera(), np.random.default_rng(3), [], []
    while len(held) < 150:
        x, y = rng.uniform(1.5, 4.5), rng.uniform(-0.6, 0.6)
        seen = _seen_aside(way, lens, x, y, rng)
        seen[:, [0, 2]] += rng.standard_normal() * (
            box_rays.SIDE * (seen[0, 2] - seen[0, 0]) + box_rays.SIDE_PX)
        if positions._cut(seen, lens).any():
            continue
        ahead = (LEVEL[:3, :3].T @ (np.array([x, y, 0.1]) - LEVEL[:3, 3]))[2]
        depth = depth_image(lens, seen[0], ahead) if method == 'depth' else None
        place = locate(boxes(*seen), View(lens, LEVEL, depth, tilt=0.0), PositionSettings(
            (method,), {'cone': (0.19, 0.36)}, size_tolerance=0), ('cone',))[0]
        aside = np.array([-y, x]) / np.hypot(x, y)
        deviation = np.sqrt(aside @ place.covariance[:2, :2] @ aside)
        held.append(abs((place.xyz[:2] - [x, y]) @ aside) < 2 * deviation)
        deviations.append(deviation)
    assert 0.90 <= np.mean(held) <= (0.98 if way == 'standing' else 1.0)
    # a robot may pass what stands in full view closely
    assert (np.median(deviations) < 0.01) == (way == 'standing')


def test_a_box_that_touches_no_nearer_one_is_not_taken_for_hidden():
    box, view, ground = (300.0, 200.0, 340.0, 260.0), View(camera(), LEVEL), PositionSettings(
        ('ground',))
    others = ([], [(345.0, 210.0, 385.0, 270.0)], [(340.0, 190.0, 380.0, 250.0)],
              [(340.0, 250.0, 380.0, 300.0)], [(340.0, 210.0, 380.0, 270.0)])
    alone, *beside = (locate(boxes(box, *other), view, ground, ('cone',))[0].covariance[1, 1]
                      for other in others)
    assert beside[:3] == pytest.approx([alone] * 3) and beside[3] > 4 * alone


def test_what_does_not_fit_its_class_is_not_plausible():
    lens = camera()
    cone = cylinder_box(lens, LEVEL, 2.0, 0.0)
    chair, lamp, cut = (200.0, 100.0, 400.0, 300.0), (300.0, 20.0, 340.0, 60.0), (
        0.0, 100.0, 200.0, 300.0)
    rows = Detections(np.array([cone, chair, lamp, cut]), [0.9] * 4, [0] * 4)
    view, wanted = View(lens, LEVEL), PositionSettings(class_heights=HEIGHTS)
    assert plausible(rows, view, wanted, ('cone',)).tolist() == [True, False, False, True]
    unknown = PositionSettings()
    assert plausible(rows, view, unknown, ('cone',)).all()
    assert plausible(Detections.empty(), view, wanted, ('cone',)).tolist() == []


@pytest.mark.parametrize(('values', 'word'), [
    ({'methods': ()}, 'none'), ({'methods': ('stereo',)}, 'stereo'),
    ({'class_heights': {'cone': (0.4, 0.3)}}, 'smaller first'),
    ({'class_heights': {'cone': (0.0, 0.3)}}, 'cone'), ({'size_tolerance': 0.5}, 'tolerance')])
def test_impossible_settings_are_refused(values, word):
    with pytest.raises(SettingError, match=word):
        PositionSettings(**values)
