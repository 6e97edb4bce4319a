"""Every runtime gives torch's answers, says what it is, and refuses what it cannot do."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ssd_perception.imaging.files import read_image
from ssd_perception.inference import runtimes
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.onnx_file import read_export, sha256_of
from ssd_perception.inference.runtimes import RuntimeUnavailable, open_runtime

ROOT = Path(__file__).resolve().parents[2]
ROVER = ROOT / 'weights' / 'rover.safetensors'
PICTURES = sorted((ROOT / 'demo' / 'rendered_val' / 'JPEGImages').glob('*.jpg'))[:6]
PHOTOGRAPHS = ROOT.parent / 'shared' / 'datasets' / 'cone_cube'
# Those that can be installed here; tensorrt needs a GPU.
EXPORTED = [name for name, row in runtimes.RUNTIMES.items()
            if row.runs == 'exported' and name != 'tensorrt']
INT8 = [name for name in EXPORTED if name != 'opencv']


@pytest.fixture(scope='module')
def detectors():
    """The shipped weights in every runtime, fp32."""
    return {name: Detector.from_weights(ROVER, runtime=name, device='cpu')
            for name in ('torch', *EXPORTED)}


def assert_agree(found, wanted, pixels=1.0, score=0.01):
    assert found.labels.tolist() == wanted.labels.tolist()
    np.testing.assert_allclose(found.scores, wanted.scores, atol=score)
    np.testing.assert_allclose(found.xyxy, wanted.xyxy, atol=pixels)


@pytest.mark.parametrize('name', ['rover.onnx', 'rover.int8.onnx'])
def test_the_shipped_files_belong_to_the_shipped_weights(name):
    exported = read_export(ROOT / 'weights' / name)
    assert exported.info.weights_sha256 == sha256_of(ROVER), (
        'export again: ssd_perception export --weights weights/rover.safetensors --int8 '
        '--data CONE_CUBE')
    assert exported.metadata == Detector.from_weights(ROVER, runtime='torch').metadata
    assert exported.info.precision == ('int8' if 'int8' in name else 'fp32')


def test_each_detector_knows_the_file_that_is_run(detectors):
    assert detectors['torch'].network_hash == sha256_of(ROVER)
    for name in EXPORTED:
        assert detectors[name].network_hash == sha256_of(ROVER.with_suffix('.onnx'))
    for name in INT8:
        int8 = Detector.from_weights(ROVER, runtime=name, device='cpu', precision='int8')
        assert int8.network_hash == sha256_of(ROVER.with_suffix('.int8.onnx'))
        assert int8.weights_hash == detectors[name].weights_hash == sha256_of(ROVER)


@pytest.mark.parametrize('runtime', EXPORTED)
def test_runtimes_agree_with_torch(detectors, runtime):
    seen = 0
    for path in PICTURES:
        image = read_image(path)
        wanted, = detectors['torch']([image])
        found, = detectors[runtime]([image])
        assert_agree(found, wanted)
        seen += len(wanted)
    assert seen > 5


@pytest.mark.parametrize('runtime', EXPORTED)
def test_a_batch_of_several_cameras_equals_single_pictures(detectors, runtime):
    images = [read_image(path) for path in PICTURES[:3]]
    for size in (3, 1, 2, 3):  # OpenVINO compiles for each size when it first occurs
        for image, together in zip(images, detectors[runtime](images[:size])):
            assert_agree(together, detectors[runtime]([image])[0], pixels=0.01, score=1e-4)


@pytest.mark.parametrize('runtime', EXPORTED)
def test_an_answer_outlives_the_next_call(detectors, runtime):
    input_hw = detectors[runtime].metadata.architecture.input_hw
    network = open_runtime(ROVER, runtime, 'cpu', 'fp32', 1)
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 1, *input_hw, 3), np.uint8)
    logits, deltas = network(first)
    kept = logits.copy(), deltas.copy()
    network(second)
    np.testing.assert_array_equal(logits, kept[0])
    np.testing.assert_array_equal(deltas, kept[1])
    assert network.threads == 1


def test_calls_that_run_at_once_give_the_answers_of_single_ones(detectors, monkeypatch):
    if 'openvino' not in EXPORTED:
        pytest.skip('OpenVINO is not installed')
    several = Detector.from_weights(ROVER, runtime='openvino', device='cpu', precision='fp32',
                                    threads=2, concurrency=2)
    images = [read_image(path) for path in PICTURES[:3]]
    for _ in range(2):
        begun = [several.begin([image]) for image in images]
        found = [call.result().detections[0] for call in reversed(begun)]
        assert several.concurrency == 2 and all(call.ended(0) for call in begun)
        for image, one in zip(reversed(images), found):
            assert_agree(one, detectors['openvino']([image])[0], pixels=0.01, score=1e-4)
    from ssd_perception.inference.runtimes import openvino
    start = openvino._Request.start
    with monkeypatch.context() as patch:
        patch.setattr(openvino._Request, 'start', lambda self, batch: (
            start(self, batch), self._request.cancel()))
        failing = several.begin(images[:1])
    assert failing.ended(5), 'it raises in its result alone'
    with pytest.raises(RuntimeError):
        failing.result()
    assert several.detect(images[:1]).detections


@pytest.mark.parametrize('release, least, refused', [
    ('4.6.0', 1, False), ('4.7.0', 1, True), ('4.7.0', 2, True), ('4.7.0', 3, False),
    ('4.8.1', 1, True), ('4.8.1', 2, False), ('4.14.0-dev', 1, True), ('5.0.0', 1, False)])
def test_releases_of_opencv_that_compute_small_maps_wrongly_are_refused(monkeypatch, release,
                                                                        least, refused):
    from ssd_perception.core.metadata import Architecture
    from ssd_perception.inference.runtimes import opencv
    monkeypatch.setattr('cv2.__version__', release)
    # As measured with opencv-python-headless 4.6 to 4.12, whose answers changed from run to run.
    architecture = Architecture(input_hw=(128 * least, 640))
    exported = SimpleNamespace(path=ROVER, metadata=SimpleNamespace(architecture=architecture))
    with pytest.raises(RuntimeUnavailable, match=f'OpenCV {release} computes rover') if refused \
            else contextlib.nullcontext():
        opencv._check_release(exported)


def computes_bf16():
    ov = pytest.importorskip('openvino')
    return 'BF16' in ov.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')


@pytest.mark.parametrize('runtime, precision', [
    *((name, 'int8') for name in INT8), ('openvino', 'bf16')])
def test_fewer_bits_find_the_same_objects_as_fp32(detectors, runtime, precision):
    if precision == 'bf16' and not computes_bf16():
        pytest.skip('this processor has no bf16')
    detector = Detector.from_weights(ROVER, runtime=runtime, device='cpu', precision=precision)
    assert detector.precision == precision
    assert f'in {runtime} on cpu, {precision}' in detector.describe()
    same = total = 0
    for path in PICTURES:
        image = read_image(path)
        wanted, found = detectors['torch']([image])[0], detector([image])[0]
        total += len(wanted)
        for box, label in zip(wanted.xyxy, wanted.labels):
            same += any(np.abs(box - other).max() < 6 for other in found.xyxy[
                found.labels == label])
    assert same >= 0.8 * total  # 7 of 8 at the default threshold; some scores cross it


def test_auto_takes_the_fastest_and_says_which():
    detector = Detector.from_weights(ROVER, device='cpu')
    assert detector.runtime == runtimes.auto_order('cpu')[0]
    assert f'in {detector.runtime} on cpu, fp32' in detector.describe()
    assert Detector.from_weights(
        ROVER.with_name('rover.int8.onnx'), device='cpu').precision == 'int8'


def test_auto_goes_on_where_one_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ssd_perception.inference.runtimes.openvino', None)
    assert Detector.from_weights(ROVER, device='cpu').runtime == 'onnxruntime'
    monkeypatch.setitem(sys.modules, 'ssd_perception.inference.runtimes.onnxruntime', None)
    assert Detector.from_weights(ROVER, device='cpu').runtime == 'torch'
    monkeypatch.setitem(sys.modules, 'ssd_perception.inference.runtimes.torch', None)
    assert Detector.from_weights(ROVER, device='cpu').runtime == 'opencv'
    with pytest.raises(RuntimeUnavailable, match='No runtime can be used for rover.int8.onnx'):
        Detector.from_weights(ROVER.with_name('rover.int8.onnx'), device='cpu')


@pytest.mark.parametrize('runtime, device, precision, says', [
    ('torch', 'cpu', 'int8', 'torch does not run int8'),
    ('torch', 'cpu', 'fp16', 'needs a CUDA device'),
    ('onnxruntime', 'cpu', 'bf16', 'fp32 or int8'),
    ('openvino', 'cpu', 'fp16', 'fp32, bf16 or int8'),
    ('openvino', 'cuda', 'fp32', 'no CUDA devices'),
    ('opencv', 'cuda', 'fp32', 'on the CPU'),
    ('opencv', 'cpu', 'int8', 'in fp32 here, not int8'),
])
def test_what_a_runtime_cannot_do_it_says(runtime, device, precision, says):
    with pytest.raises(RuntimeUnavailable, match=says):
        open_runtime(ROVER, runtime, device, precision, None)


def test_a_processor_without_bf16_says_what_to_use(monkeypatch):
    ov = pytest.importorskip('openvino')
    monkeypatch.setattr(ov.Core, 'get_property', lambda *_: ['FP32', 'INT8'])
    with pytest.raises(RuntimeUnavailable, match='does not compute in bf16.*"fp32" or "int8"'):
        open_runtime(ROVER, 'openvino', 'cpu', 'bf16', None)


def test_opencv_refuses_an_int8_file_by_its_name():
    with pytest.raises(RuntimeUnavailable, match='rover.int8.onnx is in int8'):
        open_runtime(ROVER.with_name('rover.int8.onnx'), 'opencv', 'cpu', 'auto', None)


def test_torch_does_not_run_exported_files():
    with pytest.raises(RuntimeUnavailable, match='use the runtime onnxruntime or openvino'):
        open_runtime(ROVER.with_name('rover.onnx'), 'torch', 'cpu', 'auto', None)


def test_tensorrt_that_is_not_installed_says_how_to_install_it():
    try:
        import tensorrt  # noqa: F401
    except ImportError:
        with pytest.raises(RuntimeUnavailable, match='pip install "tensorrt<11" cuda-python'):
            open_runtime(ROVER, 'tensorrt', 'auto', 'auto', None)
    else:
        pytest.skip('TensorRT is installed here')


def without(absent, *words, folder):
    """Run a verb where the modules ``absent`` cannot be imported, in its children as well."""
    stubs = folder / 'absent'
    stubs.mkdir()
    for name in absent:
        (stubs / f'{name}.py').write_text(
            f'raise ModuleNotFoundError("No module named {name!r}", name={name!r})')
    path = os.pathsep.join([str(stubs), str(ROOT), os.environ.get('PYTHONPATH', '')])
    return subprocess.run(
        [sys.executable, '-m', 'ssd_perception', *map(str, words)],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, 'SSD_PERCEPTION_CACHE': str(folder / 'cache'), 'PYTHONPATH': path})


@pytest.mark.parametrize('runtime', EXPORTED)
def test_detect_runs_without_torch(tmp_path, runtime):
    others = set(EXPORTED) - {runtime}
    done = without({'torch', 'torchvision', 'safetensors', 'onnx', *others}, 'detect',
                   PICTURES[0], '--out', tmp_path / 'out', folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f'in {runtime} on cpu, fp32' in done.stdout
    assert '"cone"' in (tmp_path / 'out' / 'detections.jsonl').read_text() \
        or '"cube"' in (tmp_path / 'out' / 'detections.jsonl').read_text()
    assert not list((tmp_path / 'cache').glob('*.onnx'))  # the shipped file was used


def test_without_torch_and_export_the_way_out_is_named(tmp_path):
    weights = tmp_path / 'mine.safetensors'
    weights.write_bytes(ROVER.read_bytes())
    done = without({'torch', 'torchvision'}, 'detect', PICTURES[0], '--weights', weights,
                   '--out', tmp_path / 'out', folder=tmp_path)
    assert done.returncode == 1 and 'Traceback' not in done.stderr
    assert 'run ssd_perception export --weights mine.safetensors where torch is installed' \
        in done.stderr
    assert len(done.stderr.splitlines()) == 2  # before it, that the weights are tried first


@pytest.mark.slow
def test_every_photograph_agrees_in_every_runtime(detectors):
    from ssd_perception.data.voc import read_voc

    if not PHOTOGRAPHS.is_dir():
        pytest.skip('no data: cone_cube is not here')
    for sample in read_voc(PHOTOGRAPHS, 'val'):
        image = read_image(sample.path)
        wanted, = detectors['torch']([image])
        for runtime in EXPORTED:
            assert_agree(detectors[runtime]([image])[0], wanted)


@pytest.mark.slow
@pytest.mark.parametrize('runtime, precision', [
    *((name, 'int8') for name in INT8), ('openvino', 'bf16')])
def test_fewer_bits_cost_little_accuracy(detectors, runtime, precision):
    from ssd_perception.data.voc import read_voc
    from ssd_perception.evaluation.accuracy import evaluate

    if not PHOTOGRAPHS.is_dir():
        pytest.skip('no data: cone_cube is not here')
    if precision == 'bf16' and not computes_bf16():
        pytest.skip('this processor has no bf16')
    samples = read_voc(PHOTOGRAPHS, 'val')
    short = Detector.from_weights(ROVER, runtime=runtime, device='cpu', precision=precision)
    before, after = evaluate(detectors[runtime], samples), evaluate(short, samples)
    assert before.voc10_ap50 - after.voc10_ap50 <= 0.005
    assert before.coco_ap - after.coco_ap <= 0.01


@pytest.mark.parametrize('damage', ['none', 'cut off', 'garbled', 'a pipe', 'no folder'])
def test_a_compiled_network_that_was_kept_answers_as_before(damage, tmp_path, monkeypatch):
    pytest.importorskip('openvino')
    monkeypatch.setenv('SSD_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    image = [read_image(PICTURES[0])]
    expected, = Detector.from_weights(ROVER, runtime='openvino', device='cpu')(image)
    kept, = (tmp_path / 'cache').glob('openvino-*.blob')
    data = bytearray(kept.read_bytes())
    if damage == 'garbled':
        data[len(data) // 2:len(data) // 2 + 200] = bytes(200)
    kept.write_bytes(data[:{'cut off': 5000}.get(damage, len(data))])
    if damage == 'a pipe':
        kept.unlink()
        os.mkfifo(kept)
    if damage == 'no folder':
        kept.unlink()
        kept.parent.rmdir()
        kept.parent.write_text('a file')
    found, = Detector.from_weights(ROVER, runtime='openvino', device='cpu')(image)
    assert len(found) and found.labels.tolist() == expected.labels.tolist()
    np.testing.assert_array_equal(found.xyxy, expected.xyxy)
    np.testing.assert_array_equal(found.scores, expected.scores)
