"""Which parts of a network int8 harms: found, kept in float, and said."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ssd_perception.__main__ import main
from ssd_perception.imaging.files import read_image
from ssd_perception.inference.export import export_onnx
from ssd_perception.inference.exported import beside
from ssd_perception.inference.onnx_file import read_export
from ssd_perception.inference.quantisation_cost import quantisation_costs
from ssd_perception.inference.quantise import part_of, quantise
from ssd_perception.inference.resolve import resolve_weights
from ssd_perception.inference.runtimes import open_runtime
from ssd_perception.model.weights import load_model, save_weights

ROOT = Path(__file__).resolve().parents[2]
HARMED = {'backbone.stages.1', 'backbone.stages.2'}


def widen_one_channel(model, factor=1000.0):
    """Make a channel between two stages larger and its kernels smaller: the same function.

    8 bits for all channels of that map leave the others less than one step.
    """
    stages = model.backbone.stages
    norm, kernel = stages[1][0].layers[-1][1], stages[2][0].layers[0][0].weight
    with torch.no_grad():
        norm.weight[0] *= factor
        norm.bias[0] *= factor
        kernel[:, 0] /= factor


@pytest.mark.parametrize('name, part', [
    ('/network/backbone/stages.3/1/layers/Conv', 'backbone.stages.3'),
    ('/network/pyramid/laterals.0/Conv', 'pyramid'),
    ('/network/class_head/levels.0/Conv', 'class_head'),
    ('/Sub', ''), ('', ''), ('Cast_3.widen', ''),
])
def test_a_node_belongs_to_a_part(name, part):
    assert part_of(name) == part


def test_the_parts_around_a_map_of_a_wide_range_cost_most_and_float_mends_them(tmp_path):
    model, metadata = load_model(resolve_weights('rover'))
    widen_one_channel(model)
    metadata = replace(metadata, architecture=replace(metadata.architecture, input_hw=(96, 128)))
    weights = save_weights(tmp_path / 'wide.safetensors', model, metadata)
    exported = export_onnx(weights, beside(weights, 'fp32'))
    files = sorted((ROOT / 'demo' / 'rendered_val' / 'JPEGImages').iterdir())[:2]
    images = [cv2.resize(read_image(file), (128, 96)) for file in files]
    parts = []

    def some(found):
        parts.extend(found)
        return [*HARMED, 'backbone.stages.6', 'pyramid']

    costs = quantisation_costs(exported, images, some)
    assert set(list(costs)[:2]) == HARMED and len(costs) == 4
    assert list(costs.values()) == sorted(costs.values(), reverse=True)
    assert parts == [*(f'backbone.stages.{i}' for i in range(7)), 'pyramid', 'tower', 'class_head',
                     'box_head']
    wanted = open_runtime(exported, 'onnxruntime', 'cpu', 'auto', 1)(images[0][None])[0]
    change = []
    for in_float in ((), HARMED):
        out = quantise(exported, images, {}, beside(weights, 'int8'), in_float)
        found = open_runtime(out, 'onnxruntime', 'cpu', 'auto', 1)(images[0][None])[0]
        change.append(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
    assert change[1] < 0.5 * change[0], change


@pytest.mark.slow
def test_export_keeps_in_float_what_loses_and_says_so(tmp_path, capsys):
    model, metadata = load_model(resolve_weights('rover'))
    widen_one_channel(model)
    weights = save_weights(tmp_path / 'wide.safetensors', model, metadata)
    code = main(['export', '--weights', str(weights), '--int8', '--data',
                 str(ROOT / 'demo' / 'rendered_val'), '--split', 'val', '--pictures', '8'])
    out = capsys.readouterr().out
    assert code == 0, out
    assert 'That is more than is allowed' in out and 'In float now' in out
    losses = [float(line.split('COCO AP ')[1].split()[0]) for line in out.splitlines()
              if 'lost: AP50' in line]
    assert losses[0] > 0.1 and losses[-1] < 0.05, out
    assert set(read_export(beside(weights, 'int8')).info.calibration['in_float']) >= HARMED
