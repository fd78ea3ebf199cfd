"""A window of a live session, before and after it is judged."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bonafide.verdict import WindowSpan, WindowVerdict


class LiveWindow(NamedTuple):
    """A window to be scored.

    Attributes:
        span: its place, and whose it is.
        samples: float32 array (n,) at `rate`, mono; with what lies before the window where the model takes more.
        rate: in Hz.
        fresh: how many samples at the end no earlier window held.
    """

    span: WindowSpan
    samples: NDArray[np.float32]
    rate: int
    fresh: int


@dataclass(frozen=True)
class LiveWindowVerdict(WindowVerdict):
    """The verdict on a window of a session, and on its channel so far.

    Attributes:
        running_score: smoothed P(spoof) so far, 0..1; None before any speech.
        running_label: changes only when `running_score` has clearly crossed the threshold.
    """

    running_score: float | None
    running_label: str
