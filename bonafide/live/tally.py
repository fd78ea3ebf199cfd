"""What the windows of a session say so far, summed as they are judged: it is asked for at any moment, of long sessions.

In: windows in order. Out: the same as of all of them at once, see `channels.findings_in`.
"""

from bonafide.verdict import MemberScores, SuspiciousRuns, SuspiciousStretch, WindowVerdict


class Tally:
    """Of one channel, or of all together.

    Attributes:
        judged_s: seconds of the windows that have a score.
        speech_s: seconds of speech.
    """

    def __init__(self) -> None:
        self.judged_s = self.speech_s = 0.0
        self._runs = SuspiciousRuns()
        self._members = MemberScores()

    def add(self, window: WindowVerdict) -> None:
        """Takes the next window."""
        self.speech_s += window.speech_s
        if window.score is not None:
            self.judged_s += window.fresh_s
        self._runs.add(window)
        self._members.add(window)

    @property
    def suspicious(self) -> tuple[SuspiciousStretch, ...]:
        """Ranges of adjacent windows that are labelled spoof."""
        return self._runs.so_far

    @property
    def member_scores(self) -> dict[str, float]:
        """Of an ensemble's members by their names; none of a single model."""
        return self._members.so_far
