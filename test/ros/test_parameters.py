"""Parameters are declared once: checks, YAML and README say the same."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

rclpy = pytest.importorskip('rclpy')
from rclpy.parameter import Parameter  # noqa: E402

from ssd_perception.core.postprocess import PostprocessSettings  # noqa: E402
from ssd_perception.core.settings import of  # noqa: E402
from ssd_perception.ros.loading import check_swap  # noqa: E402
from ssd_perception.ros.parameters import (  # noqa: E402
    NodeParameters,
    ParameterError,
    changed,
    declare,
    ros_value,
    to_markdown,
    to_yaml,
)

ROOT = Path(__file__).parents[2]


def test_the_shipped_yaml_is_the_generated_one():
    assert (ROOT / 'config' / 'detector.yaml').read_text() == to_yaml()


def test_the_yaml_holds_every_default():
    values = yaml.safe_load(to_yaml())['/**']['ros__parameters']
    assert values == {f.name: ros_value(f.default) for f in fields(NodeParameters)}
    assert NodeParameters(**values) == NodeParameters()


def test_the_readme_table_is_the_generated_one():
    readme = ROOT / 'README.md'
    text = readme.read_text() if readme.exists() else ''
    if '<!-- parameters -->' not in text:
        pytest.skip('README.md has no table of parameters')
    table = text.partition('<!-- parameters -->')[2].partition('<!-- /parameters -->')[0]
    assert table.strip() == to_markdown().strip()


@pytest.mark.parametrize('values, words', [
    (dict(device='banana'), ['"device"', 'one of auto, cpu', "'banana'"]),
    (dict(runtime=''), ['"runtime"', "got ''"]),
    (dict(score_threshold=7.0), ['"score_threshold"', '-1.0 to 1.0', '7.0']),
    (dict(score_threshold=float('nan')), ['"score_threshold"', 'nan']),
    (dict(nms_threshold=-0.1), ['"nms_threshold"']),
    (dict(max_detections=0), ['"max_detections"', '1 to 1000', 'got 0']),
    (dict(class_thresholds=['cone']), ['"class_thresholds"', 'NAME=SCORE', '"cone"']),
    (dict(class_thresholds=['cone=2']), ['"cone=2"']),
    (dict(class_thresholds=['=0.5']), ['"=0.5"']),
    (dict(class_thresholds=['a=0.5', 'a=0.6']), ['class_thresholds', 'twice']),
    (dict(cameras=['front', 'front']), ['"cameras"', 'twice']),
    (dict(cameras=['/front']), ['"cameras"', '"/front"']),
    (dict(cameras=['front; rm']), ['"cameras"']),
    (dict(cameras=[1]), ['"cameras"', 'a list of strings', 'got [1]']),
    (dict(class_thresholds=[float('nan')]), ['"class_thresholds"', 'a list of strings']),
    (dict(camera_mount=[0.0] * 6), ['"camera_mount"', 'a list of strings']),
    (dict(weights_dirs=True), ['"weights_dirs"', 'a list of strings', 'got True']),
    (dict(classes=None), ['"classes"', 'a list of strings', 'got None']),
    (dict(class_thresholds=False), ['"class_thresholds"', 'a list of strings', 'got False']),
    (dict(classes='ab'), ['"classes"', 'a list of strings', "got 'ab'"]),
])
def test_an_impossible_value_is_refused_in_one_sentence(values, words):
    with pytest.raises(ParameterError) as caught:
        NodeParameters(**values)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize('parameters, settings', [
    (NodeParameters(), PostprocessSettings(0.3)),
    (NodeParameters(score_threshold=0.0), PostprocessSettings(0.0)),
    (NodeParameters(class_thresholds=('a=b=0.5', ''), classes=('cone', '')),
     PostprocessSettings(0.3, (('a=b', 0.5),), classes=('cone',))),
])
def test_settings_for_the_detector(parameters, settings):
    assert parameters.postprocess_settings(weights_threshold=0.3) == settings


def test_changes_of_other_parameters_are_ignored():
    start = NodeParameters()
    changes = [Parameter('use_sim_time', value=True), Parameter('max_rate_hz', value=5.0)]
    assert changed(start, changes) == replace(start, max_rate_hz=5.0)


def test_a_running_node_describes_and_protects_its_parameters():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('described', context=context, parameter_overrides=[
        Parameter('max_detections', value=7), Parameter('classes', value=['cone'])],
        cli_args=['--ros-args', '-p', 'cameras:=[]'])
    try:
        values = declare(node)
        assert (values.max_detections, values.classes) == (7, ('cone',))
        assert node.get_parameter('cameras').value == [''] and values.cameras == ()
        for spec in fields(NodeParameters):
            descriptor = node.describe_parameter(spec.name)
            assert descriptor.description and descriptor.read_only == of(spec).fixed
        limits = node.describe_parameter('nms_threshold').floating_point_range[0]
        assert (limits.from_value, limits.to_value) == (0.0, 1.0)
        refused = node.set_parameters([Parameter('device', value='cpu')])[0]
        assert not refused.successful and 'read-only' in refused.reason
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.parametrize('value', [1, 'high'])
def test_a_value_of_another_type_is_one_sentence(value):
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('typed', context=context, parameter_overrides=[
        Parameter('score_threshold', value=value)])
    try:
        with pytest.raises(ParameterError, match='decimal point from -1.0 to 1.0, got'):
            declare(node)
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_weights_can_only_be_swapped_from_inside_the_folders(tmp_path):
    inside, outside = tmp_path / 'inside', tmp_path / 'outside'
    for folder in (inside, outside):
        folder.mkdir()
        (folder / f'{folder.name}.safetensors').touch()
    (inside / 'link.safetensors').symlink_to(outside / 'outside.safetensors')
    (inside / 'outside.safetensors').symlink_to(outside / 'outside.safetensors')
    folders = (str(inside),)
    assert check_swap('inside', folders) == (inside / 'inside.safetensors').resolve()
    assert check_swap(str(inside / 'inside.safetensors'), folders)
    for refused in (str(outside / 'outside.safetensors'), '../outside/outside.safetensors',
                    'link', 'outside', str(inside / '..' / 'outside' / 'outside.safetensors')):
        with pytest.raises(ParameterError, match='neither shipped nor inside weights_dirs'):
            check_swap(refused, folders)
    with pytest.raises(ParameterError, match='not found'):
        check_swap('nowhere', folders)


@pytest.mark.parametrize('weights', ['x' * 5000, '/' + 'x/' * 3000, 'a\0b', '~nobody/x', '/',
                                     '..', 'a\nb', '/dev/zero', '/proc/self/mem'])
def test_no_name_of_weights_brings_the_node_down(weights, tmp_path):
    """What is raised inside a parameter callback would end the process."""
    with pytest.raises(ParameterError) as caught:
        check_swap(weights, (str(tmp_path),))
    assert '\n' not in str(caught.value)
