"""Where decoded audio lies in time: the silence that belongs between two frames whose timestamps leave a gap.

Timestamps are untrusted. They are compared with the samples that were counted, and only what they show to be missing
is taken from them, within bounds.
"""

TOLERANCE_S = 0.1
"""A smaller gap is the imprecision of a recorder's clock."""
LONGEST_GAP_S = 600.0
"""A longer gap is taken for a wrong timestamp."""
_BACK_S = 1.0
_MOST_SILENCE_S, _MOST_SILENCE_PER_S = 600.0, 4.0
_LEAST_STEP_S = 0.005  # more than the rounding of timestamps to milliseconds


class TimeLine:
    """The time line of a recording, all its parts.

    All silence together is at most ten minutes and four times the audio before it, so that a few bytes never make
    hours.

    Attributes:
        seconds: of audio and silence so far.
        unfilled_s: seconds of gaps for which there is no silence.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.unfilled_s = 0.0
        self._silence_s = 0.0
        self.begin_part()

    def begin_part(self) -> None:
        """What follows has timestamps of its own, the first of which continues what was before."""
        self._ahead_s: float | None = None  # position less timestamp
        self._expected_s: float | None = None
        self._frames = self._steps = 0

    def gap_before(self, timestamp_s: float | None, frame_s: float) -> float:
        """Seconds of silence that belong before a frame; to be told with `passed`, as the frame is.

        Args:
            timestamp_s: of the frame; None if it has none.
            frame_s: its length in seconds.
        """
        if timestamp_s is None:
            self._expected_s = None
            return 0.0
        if self._ahead_s is None:
            self._ahead_s = self.seconds - timestamp_s
        late_s = timestamp_s + self._ahead_s - self.seconds
        step_s = 0.0 if self._expected_s is None else timestamp_s - self._expected_s
        self._expected_s = timestamp_s + frame_s
        self._frames += 1
        self._steps += _LEAST_STEP_S < step_s < TOLERANCE_S
        if -_BACK_S < late_s < TOLERANCE_S:
            return 0.0
        if late_s < 0 or self._is_another_clock(step_s):
            self._ahead_s -= late_s
            return 0.0
        if late_s > self._allowed_s():
            self.unfilled_s += late_s
            self._ahead_s -= late_s
            return 0.0
        self._silence_s += late_s
        return late_s

    def passed(self, seconds: float) -> None:
        """So much audio or silence followed."""
        self.seconds += seconds

    def _is_another_clock(self, step_s: float) -> bool:
        """Whether the timestamps run faster than the samples from frame to frame, rather than that some are missing."""
        return step_s < TOLERANCE_S and 2 * self._steps > self._frames

    def _allowed_s(self) -> float:
        audio_s = self.seconds - self._silence_s
        return min(LONGEST_GAP_S, _MOST_SILENCE_S + _MOST_SILENCE_PER_S * audio_s - self._silence_s)
