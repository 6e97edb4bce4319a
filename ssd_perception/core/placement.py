"""Place a source image inside the network's input, and map boxes back to source pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssd_perception.core.errors import SettingError

RESIZE_MODES = ('letterbox', 'stretch')


@dataclass(frozen=True)
class Placement:
    """Maps network-input pixels to source pixels; call it with (n, 4) network-input edges.

    Attributes:
        source_width, source_height: the source image, px.
        width, height: the part of the network input that the image fills, px, from its
            top-left corner: padding lies only to the right and below, so that no offset
            can be forgotten on the way back.
    """

    source_width: int
    source_height: int
    width: int
    height: int

    @classmethod
    def of(cls, source_hw: tuple[int, int], input_hw: tuple[int, int], mode: str) -> Placement:
        """Place an image of ``source_hw`` (height, width) into an input of ``input_hw``.

        Args:
            mode: ``letterbox`` keeps the aspect ratio, ``stretch`` fills the input.

        Raises:
            ValueError: for another mode.
        """
        height, width = source_hw
        if mode == 'stretch':
            return cls(width, height, input_hw[1], input_hw[0])
        if mode != 'letterbox':
            raise SettingError(f'Resize mode must be one of {", ".join(RESIZE_MODES)}, '
                               f'got "{mode}".')
        scale = min(input_hw[0] / height, input_hw[1] / width)
        # A 1 px wide image must not vanish; both sides stay within the input.
        return cls(width, height, max(1, min(input_hw[1], round(width * scale))),
                   max(1, min(input_hw[0], round(height * scale))))

    @property
    def _scale(self) -> np.ndarray:
        # The two axes are scaled by what they were really resized by, rounding included.
        x, y = self.source_width / self.width, self.source_height / self.height
        return np.array([x, y, x, y])

    def __call__(self, xyxy: np.ndarray) -> np.ndarray:
        """Return (n, 4) network-input edges as source-image edges, not clipped."""
        return xyxy * self._scale

    def to_input(self, xyxy: np.ndarray) -> np.ndarray:
        """Return (n, 4) source-image edges as network-input edges."""
        return xyxy / self._scale
