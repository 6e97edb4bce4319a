"""Detector: any image size, batch equals single, thresholds, and one sentence per refusal."""

import copy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from ssd_perception.core.errors import SettingError
from ssd_perception.core.metadata import Architecture, Metadata, WeightsError
from ssd_perception.core.postprocess import PostprocessSettings
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.resolve import WeightsNotFound, resolve_weights
from ssd_perception.inference.runtimes import RuntimeUnavailable
from ssd_perception.model.fold import fold_norms, merge_last_projection
from ssd_perception.model.ssd import SSD
from ssd_perception.model.weights import save_weights

SMALL = Architecture(backbone='efficientnet_lite0', input_hw=(96, 96), pyramid_channels=16,
                     head_depth=1)


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """Random weights whose scores spread widely, so that thresholds and NMS have work."""
    torch.manual_seed(1)
    model = SSD(SMALL, 2)
    torch.nn.init.normal_(model.class_head.predict[1].weight, std=2.0)
    torch.nn.init.constant_(model.class_head.predict[1].bias, 0.25)
    return save_weights(tmp_path_factory.mktemp('weights') / 'small.safetensors', model,
                        Metadata(('cone', 'cube'), SMALL, score_threshold=0.55))


@pytest.fixture(scope='module')
def detector(weights):
    return Detector.from_weights(weights, runtime='torch', device='cpu')


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_no_images_no_answers(detector):
    assert detector([]) == []


@pytest.mark.parametrize('hw', [(1, 1), (3, 500), (217, 333), (96, 96), (1081, 1921)])
def test_boxes_lie_inside_the_source_image(detector, hw):
    found, = detector([picture(*hw)])
    assert (found.xyxy >= 0).all()
    assert (found.xyxy[:, [0, 2]] <= hw[1]).all() and (found.xyxy[:, [1, 3]] <= hw[0]).all()
    assert (np.diff(found.scores) <= 0).all() and (found.scores >= 0.55).all()


def test_a_batch_of_differing_sizes_equals_single_images(detector):
    images = [picture(480, 640), picture(50, 300, 1), picture(333, 217, 2)]
    for image, together in zip(images, detector(images)):
        alone, = detector([image])
        assert len(alone) == len(together) > 0
        np.testing.assert_allclose(alone.scores, together.scores, atol=1e-4)


def test_the_threshold_comes_from_the_weights_unless_given(weights, detector):
    assert detector.settings.score_threshold == 0.55
    assert Detector.from_weights(weights, score_threshold=0.9).settings.score_threshold == 0.9


def test_settings_are_those_of_the_call(detector):
    image = picture(480, 640)
    usual, = detector([image])
    cubes = replace(detector.settings, classes=('cube',), max_detections=3)
    found, = detector.detect([image], cubes).detections
    assert 0 < len(found) <= 3 and set(found.labels.tolist()) == {1}
    again, = detector([image])
    assert again.scores.tolist() == usual.scores.tolist() and len(usual) > 3
    with pytest.raises(SettingError, match='dog'):
        detector.detect([image], PostprocessSettings(classes=('dog',)))


def test_one_image_gives_one_answer(detector):
    image = picture(480, 640)
    alone, listed = detector(image), detector([image])
    assert alone.xyxy.tolist() == listed[0].xyxy.tolist() and len(listed) == 1


def test_the_class_loads_and_so_does_the_package(weights, detector):
    import ssd_perception

    assert ssd_perception.Detector is Detector
    image = picture(480, 640)
    again = ssd_perception.Detector(weights, 'torch', 'cpu')(image)
    assert again.xyxy.tolist() == detector(image).xyxy.tolist()
    assert not hasattr(ssd_perception, 'Detektor')


def test_importing_the_package_imports_nothing_heavy():
    code = ('import sys, ssd_perception; from ssd_perception import __version__; '
            'sys.exit(", ".join({"numpy", "cv2", "torch", "rclpy"} & set(sys.modules)) or 0)')
    assert subprocess.run([sys.executable, '-c', code], timeout=60).returncode == 0


@pytest.mark.parametrize('image', [
    np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8),
    np.zeros((4, 4, 3), np.float32), [[1, 2, 3]]])
def test_what_is_no_image_is_refused(detector, image):
    with pytest.raises(ValueError, match='uint8 array'):
        detector([image])


@pytest.mark.skipif(torch.cuda.is_available(), reason='this machine has CUDA')
def test_cuda_without_cuda_is_an_error_and_auto_falls_back(weights):
    with pytest.raises(RuntimeUnavailable, match='finds no CUDA device'):
        Detector.from_weights(weights, device='cuda')
    assert Detector.from_weights(weights, device='auto').device == 'cpu'


@pytest.mark.parametrize('argument', ['runtime', 'device', 'precision'])
def test_unknown_choices_are_refused_by_name(weights, argument):
    with pytest.raises(ValueError, match=f'{argument} must be one of'):
        Detector.from_weights(weights, **{argument: 'banana'})


def test_weights_are_found_by_path_and_by_name(weights, monkeypatch, tmp_path):
    assert resolve_weights(weights) == weights.resolve()
    share = tmp_path / 'share' / 'ssd_perception' / 'weights'
    share.mkdir(parents=True)
    (share / 'mine.safetensors').write_bytes(weights.read_bytes())
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    assert resolve_weights('mine') == resolve_weights('mine.safetensors')
    assert resolve_weights('mine').parent == share


def test_missing_weights_tell_every_place_tried(monkeypatch, tmp_path):
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    with pytest.raises(WeightsNotFound) as error:
        resolve_weights('absent')
    assert str(tmp_path / 'share/ssd_perception/weights/absent.safetensors') in str(error.value)
    with pytest.raises(WeightsNotFound, match='/no/such/file'):
        resolve_weights('/no/such/file')
    (tmp_path / 'run').mkdir()
    for name in ('run.last.safetensors', 'run.safetensors'):
        (tmp_path / 'run' / name).touch()
    for typed in ('run', 'run/rum.safetensors'):  # for who typed it; others must not see names
        with monkeypatch.context() as patch, pytest.raises(WeightsNotFound) as error:
            # A node answers whoever sets its parameter, and must not list folders meanwhile.
            patch.setattr('os.scandir', None)
            patch.setattr('os.listdir', None)
            resolve_weights(tmp_path / typed)
        assert error.value.hint == f' Did you mean {tmp_path}/run/run.safetensors?'
        assert error.value.hint not in str(error.value)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(WeightsNotFound) as error:
        resolve_weights(tmp_path / 'empty')
    assert error.value.hint == ''  # not itself


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / 'x.safetensors'
    path.write_bytes(b'not weights')
    with pytest.raises(WeightsError, match='not a readable safetensors'):
        Detector.from_weights(path)


def test_timings_and_description_say_what_ran(detector):
    timings = detector.detect([picture(48, 64)]).timings
    assert set(vars(timings)) == {'preprocess', 'network', 'postprocess'}
    assert all(milliseconds > 0 for milliseconds in vars(timings).values())
    assert 'torch on cpu, fp32' in detector.describe() and len(detector.weights_hash) == 64


def plus(index, value):
    def change(outputs):
        outputs[index][0, 7, 1] += value
        return outputs
    return change


@pytest.mark.parametrize('change, says', [
    (plus(0, 0), ''),
    (plus(0, np.nan), 'NaN'), (plus(1, np.nan), 'NaN'), (plus(0, np.inf), 'infinity'),
    (plus(1, np.inf), 'infinity'), (plus(1, -np.inf), 'infinity'),
    (lambda o: (o[0] - np.inf, o[1]), 'infinity'),
    (lambda o: o[:1], '1 outputs'), (lambda o: (*o, o[1]), '3 outputs'),
    (lambda o: o[::-1], '"logits" should be float32'),
    # Each of these was an answer before, of other boxes or of none.
    (lambda o: (o[0][:, :-1], o[1]), '"logits" should be'),
    (lambda o: (o[0], o[1][:, :-1]), '"deltas" should be'),
    (lambda o: (o[0][..., :1], o[1]), '"logits" should be'),
    (lambda o: (np.tile(o[0], (2, 1, 1)), o[1]), '"logits" should be'),
    (lambda o: (o[0].astype(np.int32), o[1]), 'found int32'),
    (lambda o: (o[0], o[1].astype(np.float16)), 'found float16')])
def test_answers_that_the_metadata_do_not_promise_are_an_error_at_any_time(detector, change, says):
    """Without one, weights of NaN would find nothing for ever, and all would seem well."""
    anchors = len(detector.metadata.architecture.make_anchors())

    class Odd:
        metadata = detector.metadata

        def __call__(self, batch):
            return change((np.full((1, anchors, 2), -9, np.float32),
                           np.zeros((1, anchors, 4), np.float32)))
    if not says:
        assert len(Detector.from_runtime(Odd())([picture(48, 64)])[0]) == 0
        return
    with pytest.raises(WeightsError, match=says):
        Detector.from_runtime(Odd())([picture(48, 64)])


def test_folding_norms_changes_nothing_but_the_last_bits():
    torch.manual_seed(0)
    model = SSD(SMALL, 2)
    with torch.no_grad():
        for _ in range(3):  # statistics that differ from 0 and 1
            model.train()(torch.randn(4, 3, 96, 96))
        image = torch.randn(1, 3, 96, 96)
        expected = model.eval()(image)
        folded = fold_norms(copy.deepcopy(model))
        for before, after in zip(expected, folded(image)):
            torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)
        merge_last_projection(folded)
        assert folded.pyramid.laterals[2].in_channels == 1152  # the last block's 320 are left out
        for before, after in zip(expected, folded(image)):
            torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)
    assert not [m for m in folded.modules() if isinstance(m, torch.nn.BatchNorm2d)]
