"""Use-case import: torchvision's COCO weights as weights of this package, with ONNX and a card."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_perception import __version__
from ssd_perception.core.atomic_write import atomic_write
from ssd_perception.core.boxes import iou
from ssd_perception.core.detections import Detections
from ssd_perception.core.errors import DataError, SettingError
from ssd_perception.core.metadata import Metadata, WeightsError
from ssd_perception.data.sample import IMAGE_SUFFIXES
from ssd_perception.evaluation.model_card import BEGIN, END
from ssd_perception.imaging.files import read_images
from ssd_perception.inference.exported import beside
from ssd_perception.inference.onnx_file import sha256_of
from ssd_perception.inference.resolve import SUFFIX
from ssd_perception.inference.weights_file import read_metadata

# Short name -> torchvision's.
NETWORKS = {'ssdlite320': 'ssdlite320_mobilenet_v3_large', 'ssd300': 'ssd300_vgg16'}
IMAGES = Path(__file__).resolve().parents[2] / 'demo' / 'rendered_val' / 'JPEGImages'
MOST_IMAGES = 128
AGREEING_IOU = 0.5
THRESHOLD = 0.5  # usual for these networks; nobody measured it here
LICENCE = ("torchvision's code is under the BSD 3-Clause licence. Its weights, torchvision "
           'states, may have terms of their own, derived from the data they were trained on: '
           'COCO 2017, whose annotations are under CC BY 4.0 and whose photographs have the terms '
           'of Flickr.')
UNKNOWN = 'of unknown origin'


@dataclass(frozen=True)
class ImportOptions:
    """What to import.

    Attributes:
        network: a key of ``NETWORKS``.
        out: folder and name: OUT.safetensors, OUT.onnx, OUT.int8.onnx and OUT.md are written.
        file: torchvision's .pth; None lets torchvision download it.
        images: folder of images like the camera's, to calibrate int8 on and to compare it with
            fp32; None takes the rendered ones of the source tree.

    Raises:
        SettingError: for a network that is not known, or an ``out`` that holds other weights.
    """

    network: str
    out: Path
    file: Path | None = None
    images: Path | None = None

    def __post_init__(self) -> None:
        if self.network not in NETWORKS:
            raise SettingError(f'The network must be one of {", ".join(NETWORKS)}, got '
                               f'"{self.network}".')
        if self.weights.is_file() and not _was_imported(self.weights):
            raise SettingError(f'{self.weights} exists and was not imported; choose another '
                               '--out.')

    @property
    def weights(self) -> Path:
        """The file of weights that is written."""
        out = self.out.expanduser().absolute()
        return out.with_name(out.name.removesuffix(SUFFIX) + SUFFIX)


@dataclass(frozen=True)
class ImportResult:
    """The files that were written.

    Attributes:
        weights, onnx: fp32.
        int8: None without images.
        agreement: share of the fp32 detections that int8 has, too; None where nothing was found.
    """

    weights: Path
    onnx: Path
    int8: Path | None = None
    agreement: float | None = None


def run(options: ImportOptions, log: Callable[[str], object] = print) -> ImportResult:
    """Import; ``log`` takes one sentence for each file.

    Only this function, and only without ``options.file``, opens a connection.

    Raises:
        UserError: without a network, for a file that is none of the network's, or images that
            cannot be read.
    """
    from ssd_perception.inference.export import export_onnx
    from ssd_perception.model.published import convert
    from ssd_perception.model.torchvision_file import fetch, read
    from ssd_perception.model.weights import save_weights

    network = NETWORKS[options.network]
    images = _images(options.images)
    path = options.file or fetch(network)
    model, metadata = convert(network, read(path), str(path))
    metadata = _described(metadata, network, path)
    log(f'{path.name} is {_origin_of(metadata)}.')
    weights = save_weights(options.weights, model, metadata)
    onnx = export_onnx(weights, beside(weights, 'fp32'))
    result = ImportResult(weights, onnx)
    if images:
        result = _int8(result, images, log)
    else:
        log('There are no images to calibrate int8 on: add --pictures FOLDER for it.')
    atomic_write(weights.with_suffix('.md'), _card(metadata, result).encode())
    for file in (weights, onnx, result.int8):
        if file:
            log(f'{file}: {file.stat().st_size / 1e6:.1f} MB')
    return result


def agreement(first: Sequence[Detections], second: Sequence[Detections]) -> float | None:
    """Return the share of the first's detections that the second has with the same class.

    Both have one entry per image. A detection counts once, at ``AGREEING_IOU`` or more; None
    where the first has none.
    """
    same = total = 0
    for one, other in zip(first, second, strict=True):
        overlaps = iou(one.xyxy, other.xyxy) * (one.labels[:, None] == other.labels[None, :])
        total += len(one)
        for row in range(len(one)):
            best = int(overlaps[row].argmax()) if len(other) else 0
            if len(other) and overlaps[row, best] >= AGREEING_IOU:
                same += 1
                overlaps[:, best] = 0
    return same / total if total else None


def _was_imported(weights: Path) -> bool:
    try:
        return bool(read_metadata(weights).source)
    except WeightsError:
        return False


def _images(folder: Path | None) -> list[Path]:
    """Return images to calibrate on; none where no folder is given and the source tree is away."""
    chosen = folder or IMAGES
    found = sorted(path for path in chosen.rglob('*') if path.suffix.lower() in IMAGE_SUFFIXES)
    if folder and len(found) < 2:
        raise SettingError(f'--pictures {folder} holds {len(found)} images, and at least 2 are '
                           'needed.')
    return found[::max(1, len(found) // MOST_IMAGES)][:MOST_IMAGES]


def _described(metadata: Metadata, network: str, path: Path) -> Metadata:
    """Return the metadata with the origin of the file, which its hash decides."""
    from ssd_perception.model.torchvision_file import origin

    known, digest = origin(network), sha256_of(path)
    if digest.startswith(known.hash_prefix):
        source = {'name': f'torchvision {known.name}', 'url': known.url, 'sha256': digest,
                  'licence': LICENCE, 'published': {
                      data: dict(values) for data, values in known.figures.items()}}
        attribution = f'torchvision {known.name}, trained by its authors on COCO 2017'
    else:
        source = {'name': UNKNOWN, 'sha256': digest}
        attribution = f'weights {UNKNOWN}'
    return dataclasses.replace(
        metadata, source=source, attribution=attribution, score_threshold=THRESHOLD,
        package_version=__version__, date=datetime.date.today().isoformat())


def _origin_of(metadata: Metadata) -> str:
    name = metadata.source['name']
    return f'{UNKNOWN} (the file has another hash than the one that torchvision publishes)' \
        if name == UNKNOWN else name


def _int8(result: ImportResult, images: Sequence[Path],
          log: Callable[[str], object]) -> ImportResult:
    """Quantise on every second image, and compare with fp32 on the others."""
    from ssd_perception.inference.detector import Detector
    from ssd_perception.inference.quantise import describe_calibration, quantise

    out = beside(result.weights, 'int8')
    used, others = images[::2], images[1::2]
    bad: list[Path] = []

    def leave_out(path: Path, error: DataError) -> None:
        log(f'Left out: {error}')
        bad.append(path)

    calibration = {'data': used[0].parent.name, 'pictures': len(used)}
    quantise(result.onnx, read_images(used, leave_out), calibration, out)
    detectors = [Detector(path, device='cpu') for path in (result.onnx, out)]
    found: list[list[Detections]] = [[], []]
    for image in read_images(others, leave_out):  # one at a time: 64 may fill gigabytes
        for each, detector in zip(found, detectors):
            each.append(detector(image))
    used, others = ([path for path in paths if path not in bad] for paths in (used, others))
    calibration['pictures'] = len(used)
    share = agreement(*found)
    count = sum(map(len, found[0]))
    describe_calibration(out, calibration | {
        'compared_on': len(others), 'detections': count, 'agreement': share})
    log(f'int8: calibrated on {len(used)} images; on {len(others)} others it has '
        + (f'{100 * share:.0f} % of the {count} detections of fp32.' if share is not None
           else 'nothing to find: fp32 finds nothing in them.'))
    return dataclasses.replace(result, int8=out, agreement=share)


def _card(metadata: Metadata, result: ImportResult) -> str:
    a, source = metadata.architecture, metadata.source
    rows = [f'# {result.weights.stem}', '',
            f"torchvision's `{getattr(a, 'network', a.backbone)}`, imported on {metadata.date} by "
            f'ssd_perception {metadata.package_version}. It detects the '
            f'{len(metadata.class_names)} classes of COCO at {a.input_hw[1]}x{a.input_hw[0]}.', '',
            f'The weights are {_origin_of(metadata)}. SHA-256: `{source["sha256"]}`.', '']
    if 'published' in source:
        rows += [f'Published at {source["url"]}. Figures of torchvision, not measured here:', '',
                 *(f'- {data}, {"box AP" if name == "box_map" else name}: {value}'
                   for data, values in source['published'].items()
                   for name, value in values.items()), '', source['licence'], '']
    rows += [f'The default score threshold, {metadata.score_threshold:g}, is a usual one and was '
             'not measured; `ssd_perception evaluate` on images of yours measures it.', '']
    if result.agreement is not None:
        rows += [f'int8 has {100 * result.agreement:.0f} % of the detections of fp32, at that '
                 'threshold, on images that it was not calibrated on.', '']
    rows += [f'Classes: {", ".join(metadata.class_names)}.', '',
             BEGIN, 'Accuracy was not measured here.', END, '']
    return '\n'.join(rows)
