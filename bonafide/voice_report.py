"""What is said of a recording: each window as it is scored, then the report with its verdict."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple

from bonafide.audio.channel_mode import AUTO, ChannelMode
from bonafide.audio.conditions import with_speech
from bonafide.audio.reader import WINDOW_SECONDS, least_seconds
from bonafide.channels import (
    ChannelVerdict,
    VerdictContext,
    channel_name,
    channel_verdicts,
    findings_in,
    windows_of,
    worst,
)
from bonafide.decision import Answer, Band, effective_band
from bonafide.errors import Internal
from bonafide.recordings import Recording, Slot
from bonafide.settings import Settings
from bonafide.verdict import (
    SpeechCheck,
    SuspiciousStretch,
    WindowScore,
    WindowVerdict,
    effective_threshold,
    judge_window,
    label_of,
    overall_score,
    why_no_score,
)
from models.info import ModelInfo


class ScoredChunk(NamedTuple):
    """A window of a recording, returned as soon as it has a verdict.

    Attributes:
        total: windows in the recording, of all channels, 0 while not known.
        channel: what the window's channel is called; empty of all channels together.
    """

    window: WindowVerdict
    total: int
    channel: str = ""


@dataclass(frozen=True)
class AudioReport:
    """The verdict on a recording.

    Attributes:
        chunks: in order; windows that could not be scored are absent and named in `error_message`.
        score: mean of the chunks' scores weighted by their seconds of speech, 0..1; None without speech.
        label: "spoof" if `score >= threshold`, else "bonafide"; "no_speech" without a score.
        audio_seconds: length of the recording as far as it could be read.
        speech_seconds: seconds of it that are speech.
        suspicious: ranges of adjacent chunks that are labelled spoof.
        warnings: for the caller, although the call succeeded.
        error_message: names the windows that could not be scored, or states why none is judged; else empty.
        member_scores: of an ensemble's members by their names, as `score`; none of a single model.
        evidence: the signed record of this verdict; empty: none is kept.
        answer: what is said of it beside score and label.
        hop_seconds: between the starts of two chunks.
        channel: what the channel is called whose verdict this is, the worst of `channels`; empty of all together.
        channels: the verdicts on channels that were judged apart; none of a recording that was judged as one.
        channel_mode: the choice of channels that was in force.
        names: of channels 0, 1, ...
    """

    chunks: tuple[WindowVerdict, ...]
    score: float | None
    label: str
    threshold: float
    model: ModelInfo
    audio_seconds: float
    speech_seconds: float
    suspicious: tuple[SuspiciousStretch, ...]
    warnings: tuple[str, ...]
    error_message: str
    member_scores: Mapping[str, float] = field(default_factory=dict)
    evidence: str = ""
    answer: Answer = field(default_factory=Answer)
    hop_seconds: float = float(WINDOW_SECONDS)
    channel: str = ""
    channels: tuple[ChannelVerdict, ...] = ()
    channel_mode: ChannelMode = AUTO
    names: tuple[str, ...] = ()


VoiceEvents = AsyncGenerator[ScoredChunk | AudioReport, None]


def chunk_id(index: int) -> str:
    """The name of a window on the wire and in messages, `chunk_<index>`."""
    return f"chunk_{index}"


async def report_of(events: VoiceEvents) -> AudioReport:
    """The final report of an analysis; discards the chunks before it."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, AudioReport):
                return event
    raise AssertionError("an analysis ends with its report or an error")


@dataclass(frozen=True)
class VoiceRules:
    """Turns scores into verdicts.

    Attributes:
        threshold: a score at or above it is labelled spoof; None: the model's own, else 0.5.
        speech: decides which windows are judged.
        band: in which nothing is decided; None: the model's own, if it has one.
        channel_names: what channels 0, 1, ... are called.
    """

    threshold: float | None
    speech: SpeechCheck
    band: Band | None = None
    channel_names: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, settings: Settings) -> "VoiceRules":
        """As the service is configured."""
        speech = SpeechCheck(settings.min_speech_ratio)
        return cls(settings.voice_threshold, speech, settings.voice_uncertain, settings.channel_names)

    def channel_name(self, channel: int | None) -> str:
        """What a channel is called; None, all channels together: nothing."""
        return channel_name(channel, self.channel_names)

    def window(self, slot: Slot, judged: WindowScore, model: ModelInfo) -> WindowVerdict | None:
        """The window's verdict; None: it has speech, but no score."""
        threshold = self.threshold_of(model)
        return judge_window(
            slot,
            judged.score,
            judged.speech_ratio,
            speech=self.speech,
            threshold=threshold,
            members=model.named(judged.members),
            prior_log_odds=model.prior_log_odds,
            least_s=least_seconds(model),
        )

    def threshold_of(self, model: ModelInfo) -> float:
        """At or above which a score is labelled spoof, 0..1."""
        return effective_threshold(self.threshold, model.threshold)

    def report(
        self, recording: Recording, model: ModelInfo, chunks: list[WindowVerdict], failed: list[Slot]
    ) -> AudioReport:
        """The verdict on a whole recording.

        Args:
            recording: read to its end.
            model: that scored it.
            chunks: its windows that have a verdict, in order.
            failed: those that have speech, but no score.

        Raises:
            Internal: windows failed, and no other has a score.
        """
        threshold = self.threshold_of(model)

        def conditions(channel: int | None, speech_s: float) -> tuple[str, ...]:
            return with_speech(recording.conditions_of(channel), speech_s)

        context = VerdictContext(
            effective_band(self.band, model.uncertain, threshold), model.prior_log_odds, conditions
        )
        channels = channel_verdicts(chunks, recording.channels, threshold, self.channel_names, context)
        headline = worst(channels)
        channel = None if headline is None else headline.number
        counted = windows_of(chunks, channel)
        score = overall_score(counted)
        if failed and score is None:
            raise Internal("the voice model gave no score for any chunk with speech")
        if failed:
            error_message = "no score for " + ", ".join(map(self._name_of, failed))
        else:
            error_message = why_no_score(counted, self.speech) if score is None else ""
        label = label_of(score, threshold)
        found = findings_in(counted, score, label, context, channel)
        return AudioReport(
            chunks=counted,
            score=score,
            label=label,
            threshold=threshold,
            model=model,
            audio_seconds=recording.seconds,
            speech_seconds=found.speech_s,
            suspicious=found.suspicious,
            warnings=recording.warnings,
            error_message=error_message,
            member_scores=found.member_scores,
            answer=found.answer,
            hop_seconds=recording.hop_s,
            channel="" if headline is None else headline.name,
            channels=channels,
            channel_mode=recording.mode,
            names=self.channel_names,
        )

    def _name_of(self, slot: Slot) -> str:
        name = self.channel_name(slot.channel)
        return f"{chunk_id(slot.index)} of channel {name}" if name else chunk_id(slot.index)
