"""Which detector to run: the settings that every program with one detector shares."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ssd_perception.core.settings import check, setting
from ssd_perception.inference.resolve import DEFAULT_NAME
from ssd_perception.inference.runtimes import DEVICES, NAMES, PRECISIONS

if TYPE_CHECKING:
    from ssd_perception.inference.detector import Detector


@dataclass(frozen=True)
class DetectorOptions:
    """What ``Detector`` takes, as settings.

    Raises:
        SettingError: for a value out of its range or not among its choices.
    """

    weights: str = setting(DEFAULT_NAME, 'path of weights, or the name of shipped ones')
    device: str = setting('auto', 'where the network runs; auto: CUDA if there is any',
                          choices=DEVICES)
    runtime: str = setting('auto', 'what runs the network; auto: the fastest installed',
                           choices=NAMES)
    precision: str = setting('auto', 'arithmetic; auto: fp32 on the CPU, fp16 on CUDA; int8 '
                             'needs NAME.int8.onnx beside the weights, bf16 needs OpenVINO',
                             choices=PRECISIONS)
    threads: int | None = setting(None, 'CPU threads of a network (default: all cores)',
                                  limits=(1, 256))
    score_threshold: float | None = setting(
        None, 'lowest score reported (default: the one measured for the weights)',
        limits=(0.0, 1.0))

    def __post_init__(self) -> None:
        check(self)

    def load(self) -> Detector:
        """Load the detector; see there for what is raised.

        Weights that are new on this machine run in a child process first; see ``trial``.
        """
        # Only here: a verb's --help needs no OpenCV.
        from ssd_perception.inference.detector import Detector
        from ssd_perception.inference.trial import ensure_tried

        ensure_tried(self.weights, self.runtime, self.device, self.precision)
        return Detector.from_weights(**asdict(self))
