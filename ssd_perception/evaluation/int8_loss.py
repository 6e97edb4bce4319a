"""What int8 loses, how sure that is, and whether it is too much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssd_perception.evaluation.accuracy import Measurement, accuracy

MAX_AP50_LOSS, MAX_COCO_AP_LOSS = 0.005, 0.01
ENOUGH_OBJECTS = 200  # one that is lost moves AP50 by the allowed loss
GROUPS = 10  # of images, one left out at a time


@dataclass(frozen=True)
class Loss:
    """What int8 loses: AP of fp32 minus AP of int8, on the same images.

    Attributes:
        ap50, coco_ap: Pascal VOC's of 2010, and COCO's.
        ap50_error, coco_ap_error: standard errors of these, see ``loss_of``.
        objects: what was to be found.
    """

    ap50: float
    coco_ap: float
    ap50_error: float
    coco_ap_error: float
    objects: int

    @property
    def enough(self) -> bool:
        """Whether there are enough objects to judge by."""
        return self.objects >= ENOUGH_OBJECTS

    @property
    def too_much(self) -> bool:
        """Whether more is lost than allowed; of few objects, by more than chance explains."""
        spread = (0.0, 0.0) if self.enough else (2 * self.ap50_error, 2 * self.coco_ap_error)
        return self.ap50 > MAX_AP50_LOSS + spread[0] \
            or self.coco_ap > MAX_COCO_AP_LOSS + spread[1]

    def __str__(self) -> str:
        return (f'lost: AP50 {self.ap50:.4f}, COCO AP {self.coco_ap:.4f} (standard errors '
                f'{self.ap50_error:.4f}, {self.coco_ap_error:.4f}; {self.objects} objects)')


def loss_of(before: Measurement, after: Measurement, class_names: tuple[str, ...]) -> Loss:
    """Return what ``after`` lost of ``before``; both are of the same images.

    The standard errors are those of the jackknife that leaves out one of ``GROUPS`` groups of
    images at a time (Efron and Tibshirani 1993, chapter 11). Both files see the same images, so
    what makes an image difficult for both is no part of them.
    """
    count = len(before.truths)
    groups = min(GROUPS, count)
    places = np.random.default_rng(0).permutation(count)
    left = [np.delete(places, slice(group, None, groups)) for group in range(groups)]
    ap50, coco_ap = _lost(before, after, class_names, places)
    errors = np.full(2, np.nan)
    if groups > 1:
        parts = np.array([_lost(before, after, class_names, chosen) for chosen in left])
        errors = np.sqrt((groups - 1) * parts.var(axis=0))
    return Loss(ap50, coco_ap, float(errors[0]), float(errors[1]),
                sum(len(truth.labels) for truth in before.truths))


def _lost(before: Measurement, after: Measurement, class_names: tuple[str, ...],
          chosen: np.ndarray) -> tuple[float, float]:
    """Return the AP50 and the COCO AP lost on the chosen images; 0 where there is no object."""
    a, b = (accuracy([each.detections[i] for i in chosen], [each.truths[i] for i in chosen],
                     class_names) for each in (before, after))
    return (float(np.nan_to_num(a.voc10_ap50 - b.voc10_ap50)),
            float(np.nan_to_num(a.coco_ap - b.coco_ap)))
