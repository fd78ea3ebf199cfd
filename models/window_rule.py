"""What a voice model is given of a window of the service: completed where it is too short, cut where it is too long."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest_fields import Last, Short

Samples = NDArray[np.int16]


@dataclass(frozen=True)
class WindowRule:
    """The model's own windows.

    Attributes:
        samples: length of one.
        hop: samples between the starts of two in a longer window; None: longer ones are given as they are.
        short: what is done with a shorter one.
        last: what is done with samples that are left after the last whole one; see `SampleWindow`.
    """

    samples: int
    hop: int | None
    short: Short
    last: Last = "reach_back"

    def parts(self, window: Samples, least: int = 1) -> list[Samples]:
        """The model's windows of a window, int16 `(n,)`; one at least.

        Args:
            window: samples.
            least: that the model judges; fewer that are left, and would be taken as they are, are left out.
        """
        length = len(window)
        if length <= self.samples or self.hop is None:
            return [_completed(window, self.samples, self.short)]
        starts = range(0, length - self.samples + 1, self.hop)
        parts = [window[start : start + self.samples] for start in starts]
        if starts[-1] + self.samples == length:
            return parts
        if self.last == "reach_back":
            return [*parts, window[length - self.samples :]]
        rest = _completed(window[starts[-1] + self.hop :], self.samples, self.last)
        return [*parts, rest] if len(rest) >= least else parts


def end_of(window: Any, samples: int) -> Any:
    """The last samples of a window, int16 `(n,)`: what lies before them is there for another model.

    What is no window stays as it is, for the model to refuse.
    """
    return window[-samples:] if isinstance(window, np.ndarray) and window.ndim == 1 else window


def _completed(window: Samples, samples: int, rule: Short) -> Samples:
    """As long as a whole one, unless it is longer or taken as it is."""
    if rule == "as_is" or len(window) >= samples:
        return window
    if rule == "repeat":
        return np.resize(window, samples)
    return np.pad(window, (0, samples - len(window)))
