"""Use-case export: weights to ONNX, in fp32 and in int8, with what int8 costs and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ssd_perception.core.errors import DataError, SettingError
from ssd_perception.core.text import counted
from ssd_perception.data.sample import Sample
from ssd_perception.evaluation.accuracy import Measurement, accuracy, measure
from ssd_perception.evaluation.int8_loss import (
    ENOUGH_OBJECTS,
    MAX_AP50_LOSS,
    MAX_COCO_AP_LOSS,
    Loss,
    loss_of,
)
from ssd_perception.imaging.files import read_image, read_images
from ssd_perception.inference.detector import Detector
from ssd_perception.inference.exported import beside, is_exported
from ssd_perception.inference.resolve import resolve_weights

IN_FLOAT = 0.5, 0.8  # shares of the squared change whose parts are tried in float, in this order
COST_IMAGES = 16  # on which what each part changes is measured


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
        loss: of int8; None where nothing was measured.
        in_float: parts of the network that stay float in int8 because they lost most, see
            ``inference.quantise.part_of``.
    """

    fp32: Path
    int8: Path | None = None
    loss: Loss | None = None
    in_float: tuple[str, ...] = ()

    @property
    def accurate(self) -> bool:
        """Whether int8 lost no more than is allowed, as far as was measured."""
        return self.loss is None or not self.loss.too_much


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


def _int8(options: ExportOptions, fp32: Path, out: Path, chosen: list[Sample],
          validation: Sequence[Sample], log: Callable[[str], None]) -> ExportResult:
    """Quantise, measure both files, write the figures into the int8 file."""
    from ssd_perception.inference.quantise import describe_calibration

    assert options.data is not None
    name = options.data.expanduser().resolve().name
    calibration: dict = {'data': f'{name} {options.split}', 'pictures': len(chosen)}
    _quantise(fp32, chosen, calibration, out, log)
    log(f'{out}: {out.stat().st_size / 1e6:.1f} MB, int8, calibrated on {len(chosen)} images of '
        f'{name} {options.split}')
    if not validation:
        log(f'There is no split "{options.val_split}" in {options.data}: accuracy was not '
            'measured.')
        return ExportResult(fp32, out)
    log(f'measured on {name} {options.val_split}:')
    judge = _Judge(fp32, validation, log)
    loss, figures = judge(out)
    result = ExportResult(fp32, out, loss)
    if loss.too_much:
        result, figures = _keep_in_float(result, chosen, judge, calibration, log)
    if result.in_float:
        calibration |= {'in_float': list(result.in_float)}
    describe_calibration(out, calibration | {
        'measured_on': f'{name} {options.val_split}', 'fp32': judge.figures, 'int8': figures})
    assert result.loss is not None
    if not result.loss.enough:
        log(f'{result.loss.objects} objects are too few to judge int8 by, one of them moves AP50 '
            f'by {1 / max(1, result.loss.objects):.3f}: label at least {ENOUGH_OBJECTS} for '
            f'{options.val_split}, or compare both files on the robot.')
    return result


def _keep_in_float(result: ExportResult, chosen: list[Sample], judge: _Judge,
                   calibration: dict, log: Callable[[str], None],
                   ) -> tuple[ExportResult, dict[str, float]]:
    """Find the layers whose quantisation changes the outputs most, and keep them in float."""
    from tqdm import tqdm

    from ssd_perception.inference.quantisation_cost import quantisation_costs

    assert result.int8 is not None
    log(f'That is more than is allowed ({MAX_AP50_LOSS:g}; {MAX_COCO_AP_LOSS:g}). Each part of '
        'the network is quantised alone now, to see which one changes the outputs most.')
    spread = chosen[::max(1, len(chosen) // COST_IMAGES)][:COST_IMAGES]
    images = [read_image(each.path) for each in spread]
    costs = quantisation_costs(result.fp32, images,
                               lambda parts: tqdm(parts, 'compare', unit='part'))
    shares = {part: cost ** 2 / sum(c ** 2 for c in costs.values())
              for part, cost in costs.items()}
    figures: dict[str, float] = {}
    for wanted in IN_FLOAT:
        kept = parts_for(shares, wanted)
        if kept == result.in_float:
            continue
        _quantise(result.fp32, chosen, calibration, result.int8, log, kept)
        log('In float now, with their shares of the change: ' + ', '.join(
            f'{part} ({100 * shares[part]:.0f} %)' for part in kept) + '.')
        loss, figures = judge(result.int8)
        result = replace(result, loss=loss, in_float=kept)
        if result.accurate:
            return result, figures
    log('int8 loses too much with these layers in float, too: run fp32.')
    return result, figures


def parts_for(shares: dict[str, float], wanted: float) -> tuple[str, ...]:
    """Return the fewest parts, of those with the largest shares, that make up ``wanted``."""
    kept: list[str] = []
    for part in sorted(shares, key=lambda part: -shares[part]):
        if sum(shares[each] for each in kept) >= wanted:
            break
        kept.append(part)
    return tuple(kept)


def _quantise(fp32: Path, chosen: list[Sample], calibration: dict, out: Path,
              log: Callable[[str], None], in_float: Sequence[str] = ()) -> None:
    """Quantise; an image that cannot be read is named, and no longer one of ``chosen``."""
    from tqdm import tqdm

    from ssd_perception.inference.quantise import quantise

    def leave_out(path: Path, error: DataError) -> None:
        log(f'Left out: {error}')
        chosen[:] = [sample for sample in chosen if sample.path != path]
        calibration['pictures'] = len(chosen)

    paths = tqdm([sample.path for sample in chosen], 'calibrate', unit='img')
    quantise(fp32, read_images(paths, leave_out), calibration, out, in_float)


class _Judge:
    """Compares exported files with the fp32 file on the same images.

    Attributes:
        figures: AP50 and COCO AP of fp32, as the metadata of an int8 file hold them.
    """

    def __init__(self, fp32: Path, samples: Sequence[Sample], log: Callable[[str], None]):
        self._samples, self._log = samples, log
        self._before, self.figures = self._measure(fp32)

    def __call__(self, path: Path) -> tuple[Loss, dict[str, float]]:
        """Return what the file loses, and its figures."""
        after, figures = self._measure(path)
        loss = loss_of(self._before, after, self._names)
        self._log(f'  {loss}')
        return loss, figures

    def _measure(self, path: Path) -> tuple[Measurement, dict[str, float]]:
        detector = Detector.from_weights(path, device='cpu')
        self._names = detector.class_names
        measured = measure(detector, self._samples, progress=True, skip_unreadable=True)
        self._samples = measured.samples  # the others are named once
        found = accuracy(measured.detections, measured.truths, self._names)
        self._log(f'  {path.name}: AP50 {found.voc10_ap50:.4f}, COCO AP {found.coco_ap:.4f} '
                  f'on {counted(found.images, "image")}; {detector.describe()}')
        return measured, {'voc10_ap50': found.voc10_ap50, 'coco_ap': found.coco_ap}
