"""The chosen frames of a recording in figures: the content of selection.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ChosenFrame:
    """One chosen frame.

    Attributes:
        file: name of its image.
        index: its place among the images of the recording.
        camera: name.
        stamp_ns: its header's.
        seconds: since the recording's first frame.
        boxes: those to correct, as ``core.messages.json_rows``.
    """

    file: str
    index: int
    camera: str
    stamp_ns: int
    seconds: float
    boxes: list[dict]


@dataclass(frozen=True)
class SelectionSummary:
    """A selection in figures: the content of ``selection.json``.

    Attributes:
        frames, unreadable: images recorded, and those of them that could not be decoded.
        chosen: in recorded order.
        bag: the recording, as it was given.
        weights: file name.
        notes: one sentence for each thing that the user should know.
        split: name of the split written.
        failed: of many recordings, the number of those that could not be read.
    """

    frames: int
    unreadable: int
    chosen: tuple[ChosenFrame, ...]
    bag: str
    weights: str
    notes: tuple[str, ...]
    split: str
    failed: int = 0

    def to_json(self) -> dict:
        """Return plain values."""
        return asdict(self)
