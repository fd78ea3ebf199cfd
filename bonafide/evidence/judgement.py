"""What was judged and how, independent of transports: the facts of which a record is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bonafide.calls import Call
from bonafide.decision import Answer
from bonafide.media_digest import MediaDigest
from bonafide.verdict import WindowVerdict
from models.info import ModelInfo

Source = Literal["upload", "object", "live", "photo"]
"""How the media came: in one call, by their name in the object storage, or while they were spoken."""


@dataclass(frozen=True)
class Judgement:
    """A verdict with what it was given on.

    Attributes:
        source: how the media came.
        media: as they were received; None: it was not asked for, see `Records.needs_media`.
        reference: `bucket/key` of a stored object; else empty.
        model: that judged.
        threshold: a score at or above it is labelled spoof or fake.
        score: P(spoof) or P(fake), 0..1; None without speech.
        label: of the whole.
        windows: of a voice, in order; none of a photo.
        member_scores: of an ensemble's members by their names; none of a single model.
        answer: what is said of it beside score and label.
        hop_seconds: between the starts of two windows of a recording; None: not a recording.
        channel_mode: the choice of channels that was in force; empty: there was none to make.
        channel: what the channel is called whose verdict this is; empty: all channels were judged as one.
        codec: in which the media came, as a word of `media_format` or an encoding of live audio; "cached": unknown.
    """

    source: Source
    media: MediaDigest | None
    model: ModelInfo
    threshold: float
    score: float | None
    label: str
    windows: Sequence[WindowVerdict] = ()
    reference: str = ""
    member_scores: Mapping[str, float] = field(default_factory=dict)
    answer: Answer = field(default_factory=Answer)
    hop_seconds: float | None = None
    channel_mode: str = ""
    channel: str = ""
    codec: str = "other"

    @property
    def single_scores(self) -> list[float]:
        """Those of the windows that have one, or of the photo."""
        if self.model.task == "face":
            return [] if self.score is None else [self.score]
        return [window.score for window in self.windows if window.score is not None]


class Records(Protocol):
    """Where verdicts are recorded before they are answered."""

    @property
    def needs_media(self) -> bool:
        """Whether a judgement should have the digest of its media, where they are at hand anyway."""

    @property
    def signs(self) -> bool:
        """Whether it must have it."""

    async def record(self, judgement: Judgement, call: Call) -> str:
        """The signed record of a verdict, for its caller; empty if it has none.

        Raises:
            Unavailable: it could not be kept, and verdicts are not to be given without.
        """
