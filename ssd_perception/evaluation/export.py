"""Use-case export: weights to ONNX, in fp32 and quantised to int8, with what int8 costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ssd_perception.core.errors import SettingError
from ssd_perception.data.sample import Sample
from ssd_perception.inference.exported import beside, is_exported
from ssd_perception.inference.resolve import resolve_weights

MAX_AP50_LOSS, MAX_COCO_AP_LOSS = 0.005, 0.01
ENOUGH_OBJECTS = 200  # one that is lost moves AP50 by the allowed loss


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    Attributes:
        weights: path or name; empty means ``rover``.
        out: folder for NAME.onnx and NAME.int8.onnx; None writes beside the weights.
        int8: quantise as well.
        data: folder in any layout with images like the camera's; needed for ``int8``.
        split: images to calibrate on.
        val_split: images to measure both files on, where there is such a split.
        images: number of images to calibrate on, at least 1, spread over the split.

    Raises:
        SettingError: for int8 without data, or fewer images than one.
    """

    weights: str = ''
    out: Path | None = None
    int8: bool = False
    data: Path | None = None
    split: str = 'train'
    val_split: str = 'val'
    images: int = 128

    def __post_init__(self) -> None:
        if self.int8 and not self.data:
            raise SettingError("--int8 needs --data: a folder of images like the camera's, from "
                               'which the ranges of all layers are taken.')
        if self.images < 1:
            raise SettingError(f'--pictures must be at least 1, got {self.images}.')


@dataclass(frozen=True)
class ExportResult:
    """The files that were written, and what int8 lost.

    Attributes:
        fp32: NAME.onnx.
        int8: NAME.int8.onnx, or None.
        ap50_loss, coco_ap_loss: AP of fp32 minus AP of int8; None where nothing was measured.
        objects: number of objects that it was measured on.
    """

    fp32: Path
    int8: Path | None = None
    ap50_loss: float | None = None
    coco_ap_loss: float | None = None
    objects: int = 0

    @property
    def accurate(self) -> bool:
        """Whether int8 lost no more than is allowed; True where too little was measured."""
        return self.objects < ENOUGH_OBJECTS or (self.ap50_loss or 0.0) <= MAX_AP50_LOSS and \
            (self.coco_ap_loss or 0.0) <= MAX_COCO_AP_LOSS


def run(options: ExportOptions, log: Callable[[str], None] = print) -> ExportResult:
    """Export; ``log`` takes one sentence for each file and figure.

    Raises:
        SettingError: for weights that are exported already.
        UserError: from reading the weights or the data.
    """
    from ssd_perception.inference.export import export_onnx

    weights = resolve_weights(options.weights)
    if is_exported(weights):
        raise SettingError(f'{weights} is exported already; give the .safetensors file it was '
                           'made from.')
    chosen, validation = _samples(options) if options.int8 else ([], [])
    folder = (options.out or weights.parent).expanduser().absolute()
    fp32 = export_onnx(weights, folder / beside(weights, 'fp32').name)
    log(f'{fp32}: {fp32.stat().st_size / 1e6:.1f} MB, fp32')
    if not options.int8:
        return ExportResult(fp32)
    return _int8(options, fp32, folder / beside(weights, 'int8').name, chosen, validation, log)


def _samples(options: ExportOptions) -> tuple[list[Sample], list[Sample]]:
    """Return the samples to calibrate on and those to measure on (none where there are none)."""
    from ssd_perception.data.layout import has_split, read_split

    assert options.data is not None
    samples = read_split(options.data, options.split, None)
    chosen = samples[::max(1, len(samples) // options.images)][:options.images]
    return chosen, (read_split(options.data, options.val_split, None)
                    if has_split(options.data, options.val_split) else [])


def _int8(options: ExportOptions, fp32: Path, out: Path, chosen: Sequence[Sample],
          validation: Sequence[Sample], log: Callable[[str], None]) -> ExportResult:
    """Quantise, measure both files, write the figures into the int8 file."""
    from tqdm import tqdm

    from ssd_perception.imaging.files import read_image
    from ssd_perception.inference.quantise import describe_calibration, quantise

    assert options.data is not None
    name = options.data.expanduser().resolve().name
    calibration = {'data': f'{name} {options.split}', 'pictures': len(chosen)}
    quantise(fp32, (read_image(sample.path) for sample in tqdm(
        chosen, 'calibrate', unit='img')), calibration, out)
    log(f'{out}: {out.stat().st_size / 1e6:.1f} MB, int8, calibrated on {len(chosen)} images of '
        f'{name} {options.split}')
    if not validation:
        log(f'There is no split "{options.val_split}" in {options.data}: accuracy was not '
            'measured.')
        return ExportResult(fp32, out)
    log(f'measured on {name} {options.val_split}, {len(validation)} images:')
    before, after = (_measured(path, validation, log) for path in (fp32, out))
    loss = before['voc10_ap50'] - after['voc10_ap50'], before['coco_ap'] - after['coco_ap']
    log(f'  lost: AP50 {loss[0]:.4f}, COCO AP {loss[1]:.4f}')
    describe_calibration(out, calibration | {
        'measured_on': f'{name} {options.val_split}', 'fp32': before, 'int8': after})
    objects = sum(len(sample.names) for sample in validation)
    result = ExportResult(fp32, out, *loss, objects)
    if objects < ENOUGH_OBJECTS:
        log(f'{objects} objects are too few to judge int8 by; label at least {ENOUGH_OBJECTS} for '
            f'{options.val_split}, or compare both files on the robot.')
    elif not result.accurate:
        log(f'That is more than is allowed ({MAX_AP50_LOSS:g}; {MAX_COCO_AP_LOSS:g}): '
            'calibrate on more images, or run fp32.')
    return result


def _measured(path: Path, samples: Sequence[Sample],
              log: Callable[[str], None]) -> dict[str, float]:
    """Return AP50 and COCO AP of an exported file, as its metadata hold them."""
    from ssd_perception.evaluation.accuracy import evaluate
    from ssd_perception.inference.detector import Detector

    detector = Detector.from_weights(path, device='cpu')
    found = evaluate(detector, samples, progress=True)
    log(f'  {path.name}: AP50 {found.voc10_ap50:.4f}, COCO AP {found.coco_ap:.4f}; '
        f'{detector.describe()}')
    return {'voc10_ap50': found.voc10_ap50, 'coco_ap': found.coco_ap}
