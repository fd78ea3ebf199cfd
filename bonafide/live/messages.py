"""What goes into a live session and what comes out of it, whatever the transport."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bonafide.audio.mono import Block
from bonafide.errors import BonafideError
from bonafide.live.windows import LiveWindowVerdict
from bonafide.verdict import WindowSpan


class Audio(NamedTuple):
    """Audio that arrived.

    Attributes:
        blocks: in order; none: what arrived completes no sample.
        answer: they get exactly one output.
        last: they are the rest of a stream that ends; what they complete is told in the summary only.
    """

    blocks: Sequence[Block]
    answer: bool = False
    last: bool = False


class Flush(NamedTuple):
    """Judges the buffered audio; gets exactly one output."""


class QueuedReply(NamedTuple):
    """A reply that is made and sent in order, after everything queued before it."""

    make: Callable[[], object]


NOTHING = QueuedReply(lambda: None)
"""A message that is answered by nothing: the session is not idle."""


@dataclass(frozen=True)
class WindowResults:
    """Results for audio; empty if a reply is due and no window is complete.

    Attributes:
        verdicts: in order.
        unjudged: windows without a verdict.
        error: why they have none.
        waiting_s: seconds that wait for their window to fill.
        waiting_samples: the same in samples.
        took_s: seconds since the audio arrived.
    """

    verdicts: tuple[LiveWindowVerdict, ...]
    unjudged: tuple[WindowSpan, ...]
    error: BonafideError | None
    waiting_s: float
    waiting_samples: int
    took_s: float


class Refused(NamedTuple):
    """Audio that was refused; the session continues without it."""

    error: BonafideError


class Failed(NamedTuple):
    """The model failed, and nothing of the session has a score: it ends without a summary, by this error."""

    error: BonafideError


Input = Audio | Flush | QueuedReply
Send = Callable[[object], Awaitable[None]]
"""Sends `WindowResults`, `Refused`, the output of a `QueuedReply`, and finally a `LiveSummary` or `Failed`."""
