"""torchvision's networks, imported by the verb, find what torchvision finds, in every runtime."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('onnx')
from torchvision_models import as_torchvision_wants, images, random_model  # noqa: E402

from ssd_perception.__main__ import main  # noqa: E402
from ssd_perception.core.detections import Detections  # noqa: E402
from ssd_perception.core.errors import DataError  # noqa: E402
from ssd_perception.core.metadata import WeightsError  # noqa: E402
from ssd_perception.core.postprocess import PostprocessSettings  # noqa: E402
from ssd_perception.evaluation import import_torchvision  # noqa: E402
from ssd_perception.inference import runtimes  # noqa: E402
from ssd_perception.inference.detector import Detector  # noqa: E402
from ssd_perception.inference.exported import beside  # noqa: E402
from ssd_perception.inference.onnx_file import read_export, sha256_of  # noqa: E402
from ssd_perception.model.published import PUBLISHED, PublishedSSD, convert  # noqa: E402
from ssd_perception.model.torchvision_file import read  # noqa: E402
from ssd_perception.model.weights import load_model  # noqa: E402

RUNTIMES = [name for name in runtimes.RUNTIMES if name != 'tensorrt']
PIXELS, SCORE = 0.1, 1e-4
LITE, VGG = 'ssdlite320_mobilenet_v3_large', 'ssd300_vgg16'
# of torchvision's builders; the node's, at the score threshold of imported weights
SETTINGS = {
    (LITE, 'torchvision'): PostprocessSettings(0.001, nms_threshold=0.55, max_detections=300),
    (VGG, 'torchvision'): PostprocessSettings(0.01, nms_threshold=0.45, max_detections=200),
    **{(network, 'node'): PostprocessSettings(0.5) for network in PUBLISHED}}


WATCHED = """
import sys
def watch(event, arguments):
    if event in ('socket.connect', 'socket.getaddrinfo'):
        print('connects:', event, file=sys.stderr)
        raise OSError('no network')
sys.addaudithook(watch)
from ssd_perception.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def watched(*words, home):
    """Run a verb in a process whose connections are named on stderr, and refused."""
    return subprocess.run(
        [sys.executable, '-c', WATCHED, *map(str, words)], capture_output=True, text=True,
        timeout=500, env={'HOME': str(home), 'PATH': '/usr/bin:/bin',
                          'PYTHONPATH': os.environ.get('PYTHONPATH', '')})


def resized_in_double(model, image):
    """Return torchvision's detections, with its image resized in float64.

    In float32 it places samples so that pixels are 0.006 grey values off in a 1280x720 image, and
    SSD300, which does not divide by a standard deviation, has scores 1.4e-4 off its own.
    """
    inputs, _ = model.transform([as_torchvision_wants(image).double()])
    inputs.tensors = inputs.tensors.float()
    features = list(model.backbone(inputs.tensors).values())
    found = model.postprocess_detections(
        model.head(features), model.anchor_generator(inputs, features), inputs.image_sizes)
    return model.transform.postprocess(found, inputs.image_sizes, [image.shape[:2]])[0]


def imported(short, folder):
    """Save torchvision's network, import the file with the verb; also what torchvision finds."""
    network = import_torchvision.NETWORKS[short]
    model = random_model(network)
    torch.save(model.state_dict(), folder / 'random.pth')
    path = folder / 'coco.safetensors'
    done = watched('import_torchvision', short, '--file', folder / 'random.pth', '--out',
                   folder / 'coco', home=folder)
    assert done.returncode == 0, done.stderr
    shown = images()
    answers = {}
    for (of, name), settings in SETTINGS.items():
        if of == network:
            model.score_thresh, model.nms_thresh = settings.score_threshold, settings.nms_threshold
            model.detections_per_img = settings.max_detections
            find = resized_in_double if network == VGG else lambda model, image: model(
                [as_torchvision_wants(image)])[0]
            with torch.inference_mode():
                answers[name] = [find(model, image) for image in shown]
    names = PUBLISHED[network].weights.meta['categories']
    return SimpleNamespace(network=network, path=path, images=shown, answers=answers, names=names,
                           done=done)


@pytest.fixture(scope='module')
def lite(tmp_path_factory):
    return imported('ssdlite320', tmp_path_factory.mktemp('lite'))


@pytest.fixture(scope='module')
def vgg(tmp_path_factory):
    return imported('ssd300', tmp_path_factory.mktemp('vgg'))


def assert_same(detector, case, which):
    """Compare detection by detection; two of one score may stand in either order."""
    settings, total = SETTINGS[case.network, which], 0
    for image, wanted in zip(case.images, case.answers[which]):
        found, = detector.detect([image], settings).detections
        total += len(found)
        assert len(found) == len(wanted['scores'])
        np.testing.assert_allclose(found.scores, wanted['scores'], atol=SCORE)
        left = np.ones(len(found), bool)
        for box, score, label in zip(wanted['boxes'].numpy(), wanted['scores'].numpy(),
                                     wanted['labels']):
            same = (left & (np.abs(found.xyxy - box).max(1) <= PIXELS)
                    & (np.abs(found.scores - score) <= SCORE)
                    & (found.labels == detector.class_names.index(case.names[label])))
            assert same.any(), f'{case.names[label]} {score:.4f} at {box}'
            left[np.argmax(same)] = False
    assert total > len(case.images)


@pytest.mark.parametrize('runtime', RUNTIMES)
def test_ssdlite_finds_what_torchvision_finds(lite, runtime):
    detector = Detector(lite.path, runtime=runtime, device='cpu')
    for which in ('torchvision', 'node'):
        assert_same(detector, lite, which)


def test_releases_of_opencv_that_compute_ssdlite_wrongly_are_refused(lite, monkeypatch):
    for release in ('4.7.0', '4.10.0', '4.14.0-dev'):
        monkeypatch.setattr('cv2.__version__', release)
        with pytest.raises(runtimes.RuntimeUnavailable, match=f'OpenCV {release} computes'):
            Detector(lite.path, runtime='opencv', device='cpu')
    for release in ('4.6.0', '5.0.0'):
        monkeypatch.setattr('cv2.__version__', release)
        assert Detector(lite.path, runtime='opencv', device='cpu').runtime == 'opencv'


@pytest.mark.slow
@pytest.mark.parametrize('runtime', RUNTIMES)
def test_ssd300_finds_what_torchvision_finds(vgg, runtime):
    detector = Detector(vgg.path, runtime=runtime, device='cpu')
    for which in ('torchvision', 'node'):
        assert_same(detector, vgg, which)


@pytest.mark.parametrize('network', PUBLISHED)
def test_anchors_are_torchvisions(network):
    from torchvision.models import detection

    with torch.device('meta'):
        model = detection.__dict__[network](weights=None, weights_backbone=None)
    generator = model.anchor_generator
    generator._wh_pairs = generator._generate_wh_pairs(6)
    own = PUBLISHED[network].architecture()
    side = own.input_hw[0]
    wanted = generator._grid_default_boxes(
        [list(level.shape) for level in own.levels], [side, side]).numpy() * side
    np.testing.assert_allclose(own.make_anchors(), wanted, atol=1e-3)
    transform = model.transform
    about = PUBLISHED[network].metadata()
    np.testing.assert_allclose(about.preprocessing.mean, np.multiply(transform.image_mean, 255))
    np.testing.assert_allclose(about.preprocessing.std, np.multiply(transform.image_std, 255))
    assert about.scoring.candidates_per_class == model.topk_candidates
    assert about.columns == 91 and len(about.class_names) == 80
    assert about.class_names[0] == 'person' and about.class_names[-1] == 'toothbrush'


def test_a_file_that_is_not_torchvisions_is_of_unknown_origin(lite):
    metadata = load_model(lite.path)[1]
    assert metadata.source == {'name': 'of unknown origin',
                               'sha256': sha256_of(lite.path.with_name('random.pth'))}
    card = lite.path.with_suffix('.md').read_text()
    assert 'of unknown origin' in card and '21.3' not in card and 'toothbrush' in card


def test_torchvisions_own_file_is_known_by_its_hash(lite, monkeypatch):
    file = lite.path.with_name('random.pth')
    known = import_torchvision._described(PUBLISHED[LITE].metadata(), LITE, file)
    assert 'published' not in known.source
    monkeypatch.setattr(import_torchvision, 'sha256_of', lambda path: 'a79551df' + '0' * 56)
    known = import_torchvision._described(PUBLISHED[LITE].metadata(), LITE, file)
    assert known.source['published'] == {'COCO-val2017': {'box_map': 21.3}}
    card = import_torchvision._card(known, import_torchvision.ImportResult(lite.path, lite.path))
    assert '21.3' in card and 'not measured here' in card and 'unknown origin' not in card
    assert 'BSD' in card and 'CC BY 4.0' in card


def test_int8_finds_most_of_what_fp32_finds(lite):
    file = read_export(beside(lite.path, 'int8'))
    assert file.info.precision == 'int8' and file.metadata.source
    assert file.info.weights_sha256 == sha256_of(lite.path)
    assert file.info.calibration['detections'] > 20
    assert file.info.calibration['agreement'] > 0.7


def test_the_node_may_choose_classes_and_their_thresholds(lite):
    settings = PostprocessSettings(0.3, (('person', 0.9),), classes=('person', 'dog'))
    detector = Detector(lite.path, runtime='torch', device='cpu')
    for image in lite.images[:5]:
        whole, = detector.detect([image], PostprocessSettings(0.3)).detections
        found, = detector.detect([image], settings).detections
        names = [detector.class_names[label] for label in whole.labels]
        wanted = [name == 'dog' or (name == 'person' and score >= 0.9)
                  for name, score in zip(names, whole.scores)]
        np.testing.assert_array_equal(found.scores, whole.scores[wanted])


def test_agreement_counts_each_detection_once():
    one = Detections([[0, 0, 10, 10], [0, 0, 10, 9]], [0.9, 0.8], [0, 0])
    other = Detections([[0, 0, 10, 10], [50, 50, 60, 60]], [0.7, 0.6], [0, 0])
    assert import_torchvision.agreement([one], [other]) == 0.5
    assert import_torchvision.agreement([one], [Detections.empty()]) == 0
    assert import_torchvision.agreement([Detections.empty()], [other]) is None


def refused(capsys, *words):
    """Run the verb, which must refuse in one line; return that line."""
    assert main(['import_torchvision', *map(str, words)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    return err[0]


def test_without_a_network_the_file_to_bring_is_named(tmp_path, capsys, monkeypatch):
    def no_network(*args, **kwargs):
        assert kwargs['check_hash'] and kwargs['weights_only']
        raise URLError('no route to host')
    monkeypatch.setattr('torchvision.models._api.load_state_dict_from_url', no_network)
    line = refused(capsys, 'ssdlite320', '--out', tmp_path / 'coco')
    assert '--file ssdlite320_mobilenet_v3_large_coco-a79551df.pth' in line
    assert 'https://download.pytorch.org/models/ssdlite320' in line
    assert not list(tmp_path.iterdir())


class Evil:
    def __reduce__(self):
        return (print, ('run',))


def test_files_that_are_none_of_torchvisions_are_refused(lite, tmp_path, capsys):
    good = lite.path.with_name('random.pth')
    bad = {'evil.pth': pickle.dumps(Evil()), 'cut.pth': good.read_bytes()[:100_000],
           'empty.pth': b''}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    torch.save({'model': 3}, tmp_path / 'other.pth')
    torch.save(Evil(), tmp_path / 'pickled.pth')
    os.mkfifo(tmp_path / 'pipe.pth')
    with pytest.raises(DataError, match='pipe.pth is no regular file'):  # it would block
        read(tmp_path / 'pipe.pth')
    for name in (*bad, 'other.pth', 'pickled.pth'):
        with pytest.raises(WeightsError, match='give the .pth that torchvision publishes'):
            read(tmp_path / name)
    line = refused(capsys, 'ssd300', '--file', good, '--out', tmp_path / 'coco')
    assert 'does not hold ssd300_vgg16 trained on COCO' in line
    line = refused(capsys, 'ssdlite320', '--file', tmp_path / 'none.pth', '--out',
                   tmp_path / 'coco')
    assert 'none.pth' in line
    state = torch.load(good, weights_only=True)
    key = 'head.regression_head.module_list.2.1.bias'
    with pytest.raises(WeightsError, match=f'"{key}" should be .*found absent'):
        convert(LITE, {name: value for name, value in state.items() if name != key}, 'x.pth')


def test_weights_that_were_trained_are_not_overwritten(tmp_path, capsys):
    own = tmp_path / 'mine.safetensors'
    shutil.copy(import_torchvision.IMAGES.parents[2] / 'weights' / 'rover.safetensors', own)
    line = refused(capsys, 'ssdlite320', '--file', own, '--out', tmp_path / 'mine')
    assert 'was not imported' in line


def test_metadata_that_describe_another_network_are_refused(lite):
    data = json.loads(load_model(lite.path)[1].to_json())
    data['architecture']['levels'][0]['shape'] = [3, 3]
    data.pop('format_version')
    from ssd_perception.core.metadata import Metadata, build

    with pytest.raises(WeightsError, match='its levels differ'):
        PublishedSSD(build(Metadata, data, '').architecture, 91)


def test_only_the_download_opens_a_connection(lite, tmp_path):
    assert 'connects:' not in lite.done.stderr  # with --file
    done = watched('import_torchvision', 'ssdlite320', '--out', tmp_path / 'coco', home=tmp_path)
    assert 'connects:' in done.stderr and done.returncode == 1
    assert '--file ssdlite320_mobilenet_v3_large_coco-a79551df.pth' in done.stderr
