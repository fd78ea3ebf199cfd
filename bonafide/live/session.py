"""A live session as a state machine: audio in, windows to be scored out; scores in, verdicts out. No I/O, no clock.

The same audio gives the same windows, however it is split into messages; each is scored once. Run by `live.stream`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum

from bonafide.audio.by_channel import ByChannel
from bonafide.audio.channel_mode import ChannelMode
from bonafide.audio.conditions import ConditionMeter
from bonafide.audio.mono import Block
from bonafide.audio.plausibility import LevelRemarks
from bonafide.audio.reader import WINDOW_SECONDS
from bonafide.decision import Band
from bonafide.errors import BonafideError, InvalidRequest, TooLarge
from bonafide.live.channel_cutters import ChannelCuts, LiveChannelCutters
from bonafide.live.limits import MIN_SECONDS, LiveConfig, LiveLimits, check_rate, check_samples
from bonafide.live.running_verdict import RunningVerdict
from bonafide.live.tally import Tally
from bonafide.live.windows import LiveWindow, LiveWindowVerdict
from bonafide.verdict import SPOOF, SpeechCheck, WindowSpan, judge_window

_MAX_RATE_CHANGES = 16
_AS_DEFAULT = LiveConfig()
_NAMED_LOST = 5
"""Windows without a verdict that are named one by one."""


class Ending(StrEnum):
    """Why a session ended. Of those by an error only a phone call has a summary."""

    END = "end"
    IDLE = "idle"
    SESSION_LIMIT = "session_limit"
    GOING_AWAY = "going_away"
    ERROR = "error"


class LiveSession:
    """One session from its first sample to its last.

    Times are arguments, from any monotonic clock.

    Args:
        before_s: seconds before each full window that are given with it.
        band: in which nothing is decided, if decisions are asked for.
        prior_log_odds: of the model, see `decision.llr_of`.
        least_s: length of the shortest window that the model takes, in seconds.

    Attributes:
        config: in force.
        threshold: a score at or above it is labelled spoof.
        band: as given.
        prior_log_odds: as given.
        failure: what the model failed by last; None: it gave a verdict on each window.
        verdicts: of all windows judged so far, of all channels, in order.
        levels: what is odd about the windows so far.
        conditions: what weakens the verdict on each channel.
        lossy: set where it is known that a lossy codec was in the way.
        most_channels: of the audio so far.
    """

    def __init__(
        self,
        limits: LiveLimits,
        threshold: float,
        speech: SpeechCheck,
        now: float,
        config: LiveConfig = _AS_DEFAULT,
        before_s: float = 0.0,
        band: Band | None = None,
        prior_log_odds: float | None = None,
        least_s: float = 0.0,
    ) -> None:
        self.config = config
        self.band = band
        self.prior_log_odds = prior_log_odds
        self.threshold = threshold
        self.verdicts: list[LiveWindowVerdict] = []
        self.failure: BonafideError | None = None
        self._lost: list[WindowSpan] = []
        self._limits = limits
        self._before_s = before_s
        self._least_s = least_s
        self._speech = speech
        self._began = self._active_at = now
        self.levels = LevelRemarks()
        self.conditions = ByChannel(ConditionMeter())
        self.lossy = False
        self.most_channels = 1
        self._runnings = ByChannel(RunningVerdict(threshold))
        self._tallies = ByChannel(Tally())
        self._index = 0
        self._cutters = LiveChannelCutters()
        self._parted: set[int] = set()
        self._rate_changes = 0
        # Of the current cutters: their start in the stream, the samples they got, and those in their windows.
        self._origin_s = 0.0
        self._fed = self._windowed = 0
        # Seconds of channels that were judged apart, beyond those of one.
        self._further_s = 0.0

    @property
    def mode(self) -> ChannelMode:
        """Which channels are judged."""
        return self._cutters.mode

    def choose(self, mode: ChannelMode) -> None:
        """Says which channels are judged; before the first audio."""
        self._cutters.mode = mode

    @property
    def channels(self) -> tuple[int, ...]:
        """The channels of which a verdict is told, in order; none while all are judged as one."""
        return self.mode.judged(tuple(sorted(self._parted)))

    @property
    def worst_now(self) -> int | None:
        """The channel that stands for all at present; None: all are judged as one.

        That with the highest score: of those labelled spoof, if there are any, else of all.
        """

        def order(channel: int) -> tuple[bool, float]:
            found = self.running_of(channel)
            return found.label == SPOOF, -1.0 if found.p_spoof is None else found.p_spoof

        return max(self.channels, key=order, default=None)

    @property
    def running(self) -> RunningVerdict:
        """The verdict so far, of the channel that stands for all."""
        return self.running_of(self.worst_now)

    def running_of(self, channel: int | None) -> RunningVerdict:
        """The verdict on a channel so far; None: on all channels as one."""
        return self._runnings.so_far(channel)

    def tally_of(self, channel: int | None) -> Tally:
        """What was said on a channel so far, to be read only; None: on all channels as one."""
        return self._tallies.so_far(channel)

    def conditions_of(self, channel: int | None) -> tuple[str, ...]:
        """What weakens the verdict on a channel, by the names of `audio.conditions`; None: on all channels as one."""
        meter = self.conditions.so_far(channel)
        meter.lossy = self.lossy
        return meter.names()

    @property
    def rate(self) -> int:
        """Sample rate of the latest audio, in Hz."""
        return self._cutters.rate

    @property
    def audio_s(self) -> float:
        """Seconds of audio received."""
        samples = self._fed if self._cutters.cutting else self._cutters.unseen_samples
        return self._origin_s + samples / self.rate

    @property
    def judged_s(self) -> float:
        """Seconds of the windows that have a score, of the channel that stands for all."""
        return self.tally_of(self.worst_now).judged_s

    @property
    def speech_s(self) -> float:
        """Seconds of speech in the windows judged so far, of the channel that stands for all."""
        return self.tally_of(self.worst_now).speech_s

    @property
    def waiting_samples(self) -> int:
        """Samples of one channel that no window has held yet."""
        return self._cutters.unseen_samples

    @property
    def waiting_s(self) -> float:
        """Seconds that no window has held yet."""
        return self.waiting_samples / self.rate

    @property
    def due_at(self) -> float:
        """When the session ends unless a message arrives."""
        return min(self._active_at + self._limits.idle_s, self._began + self._limits.max_session_s)

    def overdue(self, now: float) -> Ending | None:
        """Whether the session is over, and why."""
        audio_s = self.audio_s + self._further_s
        if now - self._began >= self._limits.max_session_s or audio_s > self._limits.max_session_s:
            return Ending.SESSION_LIMIT
        return Ending.IDLE if now - self._active_at >= self._limits.idle_s else None

    def silent_s(self, now: float) -> float:
        """Seconds since the last message was taken, or since the session began."""
        return now - self._active_at

    def message_taken(self, now: float) -> None:
        """From now on the next message is waited for."""
        self._active_at = now

    def configure(self, config: LiveConfig) -> None:
        """Applies to the audio that follows, and to samples that wait for a window."""
        if config != self.config:
            self._put_back()
            self.config = config

    def check_length(self, count: int, rate: int) -> None:
        """Raises those that depend on the number of samples of one channel, and their rate."""
        check_rate(rate)
        self._check_seconds(count / rate)

    def check(self, blocks: Sequence[Block]) -> None:
        """Raises the errors of `feed` that depend on the audio alone, for blocks that come as one.

        Of several rates: where a container ends and another begins.
        """
        counts: Counter[int] = Counter()
        for block in blocks:
            check_rate(block.rate)
            counts[block.rate] += len(block.samples)
        self._check_seconds(sum(count / rate for rate, count in counts.items()))
        for block in blocks:
            check_samples(block.samples)
            self.mode.channels_apart(block.channels)

    def _check_seconds(self, seconds: float) -> None:
        if seconds > self._limits.max_message_s:
            raise TooLarge(f"more than {self._limits.max_message_s:g} s of audio in one message")

    def feed(self, block: Block) -> list[LiveWindow]:
        """Takes audio and returns the windows that it completes.

        Args:
            block: samples nominally -1..1; other ranges are known by their level, see `audio.levels`. At 8,000..192,000
                Hz.

        Raises:
            InvalidRequest: another rate, or one that keeps changing; or no such channel.
            UnreadableMedia: samples that are not finite, or beyond any range.
            TooLarge: more seconds than a message may hold, or too many channels to judge each.
        """
        self.check([block])
        if not len(block.samples):
            return []
        self.most_channels = max(self.most_channels, block.channels)
        windows = [] if self._cutters.cutting and self.rate == block.rate else self._begin_cutters(block.rate)
        self._fed += len(block.samples)
        windows += self._windows(self._cutters.feed(block))
        self._further_s += (self._cutters.judged_now - 1) * len(block.samples) / block.rate
        return windows

    def flush(self) -> list[LiveWindow]:
        """The windows that are left, the last of which reaches back to be as long as the others.

        A rest under 0.25 s stays.
        """
        return self._flush(MIN_SECONDS)

    def finish(self) -> list[LiveWindow]:
        """As `flush`, at the end of the stream: no rest stays."""
        return self._flush(0.0)

    def _flush(self, least_s: float) -> list[LiveWindow]:
        windows = [] if self._cutters.cutting or not self.waiting_samples else self._begin_cutters(self.rate)
        if self._cutters.cutting and self.waiting_s >= least_s:
            windows += self._windows([self._cutters.flush()])
        return windows

    def lose(self, spans: Sequence[WindowSpan], error: BonafideError) -> None:
        """Takes note of windows that have no verdict, and of what the model failed by."""
        self._lost += spans
        self.failure = error

    def warnings(self) -> list[str]:
        """Sentences about windows without a verdict, and about levels."""
        if self.failure is None:
            return self.levels.sentences()
        named = ", ".join(f"{span.start_s:g}-{span.end_s:g}" for span in self._lost[:_NAMED_LOST])
        more = f" and {len(self._lost) - _NAMED_LOST} more" if len(self._lost) > _NAMED_LOST else ""
        return [f"no score for the seconds {named}{more}: {self.failure.message}", *self.levels.sentences()]

    def judge(
        self, span: WindowSpan, score: float, speech_ratio: float, members: Mapping[str, float] | None = None
    ) -> LiveWindowVerdict | None:
        """The verdict on a scored window, which counts from now on.

        Args:
            span: of the window; in the order in which the windows were returned.
            score: P(spoof), 0..1, or NaN.
            speech_ratio: share of the window that is speech, 0..1, or NaN.
            members: scores of an ensemble's members by their names.

        Returns:
            None: see `judge_window`; the window does not count.
        """
        window = judge_window(
            span,
            score,
            speech_ratio,
            speech=self._speech,
            threshold=self.threshold,
            members=members,
            prior_log_odds=self.prior_log_odds,
            least_s=self._least_s,
        )
        if window is None:
            return None
        self._tallies[window.channel].add(window)
        running = self._runnings[window.channel]
        if window.score is not None:
            running.add(window.score, window.weight)
        verdict = LiveWindowVerdict(**asdict(window), running_score=running.p_spoof, running_label=running.label)
        self.verdicts.append(verdict)
        return verdict

    def _begin_cutters(self, rate: int) -> list[LiveWindow]:
        """Makes cutters for this rate and feeds them the waiting samples, resampled if necessary."""
        if self._fed or self.waiting_samples:
            if self.rate != rate:
                self._rate_changes += 1
            if self._rate_changes > _MAX_RATE_CHANGES:
                raise InvalidRequest("the sample rate changes again and again")
        self._put_back()
        hop_s = self.config.chunk_s - self.config.overlap_s
        # A shorter window is completed by the model, as a recording of that length is.
        before_s = self._before_s if self.config.chunk_s == WINDOW_SECONDS else 0.0
        self._windowed = 0
        self._fed, cuts = self._cutters.begin(rate, self.config.chunk_s, hop_s, before_s)
        return self._windows(cuts)

    def _put_back(self) -> None:
        """Takes out of the cutters the samples with which the next ones continue."""
        if self._cutters.cutting:
            end_s = self.audio_s
            self._origin_s = end_s - self._cutters.stop() / self.rate

    def _windows(self, places: Sequence[ChannelCuts]) -> list[LiveWindow]:
        found: list[LiveWindow] = []
        rate = self.rate
        for cuts in filter(None, places):
            first = cuts[0][1]  # all are of one length
            self._windowed += first.fresh
            end_s = self._origin_s + self._windowed / rate
            start_s = max(0.0, end_s - min(len(first.samples), self._cutters.window_samples) / rate)
            for channel, cut in cuts:
                span = WindowSpan(self._index, start_s, end_s, fresh_s=cut.fresh / rate, channel=channel)
                found.append(LiveWindow(span, cut.samples, rate, cut.fresh))
                if channel is not None:
                    self._parted.add(channel)
            self._index += 1
        return found
