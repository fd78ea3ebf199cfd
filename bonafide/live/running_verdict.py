"""The verdict on a live session so far: smoothed over the last seconds of speech, with hysteresis.

In: scores with their seconds of speech, in order. Out: one probability and one label that do not flicker.
"""

import math

from bonafide.verdict import BONAFIDE, NO_SPEECH, SPOOF, label_of

MEMORY_S = 6.0
"""Seconds of speech after which a score weighs 1/e of a new one. A clear change of voice shows after about as many."""
MARGIN = 0.4
"""Log odds by which the smoothed score has to pass the threshold for the label to change: 0.6 or 0.4 around 0.5."""


class RunningVerdict:
    """The exponentially weighted mean of scores, and a label with hysteresis.

    At the beginning it is the plain mean weighted by seconds of speech, as for a whole recording; older scores decay
    with seconds of speech, not with time.

    Attributes:
        p_spoof: the smoothed P(spoof), 0..1; None before any speech.
        label: "spoof", "bonafide", or "no_speech" before any.
    """

    def __init__(self, threshold: float) -> None:
        """Starts without a score.

        Args:
            threshold: a score at or above it means spoof, 0..1.
        """
        self.p_spoof: float | None = None
        self.label = NO_SPEECH
        self._threshold = threshold
        self._to_spoof, self._to_bonafide = _moved(threshold, MARGIN), _moved(threshold, -MARGIN)
        self._sum = self._weight = 0.0

    def add(self, score: float, weight: float) -> None:
        """Takes the next window into account.

        Args:
            score: P(spoof), 0..1.
            weight: seconds of speech in it that no earlier window held, above 0.
        """
        fading = math.exp(-weight / MEMORY_S)
        self._sum = self._sum * fading + score * weight
        self._weight = self._weight * fading + weight
        self.p_spoof = min(1.0, self._sum / self._weight)
        if self.label == NO_SPEECH:
            self.label = label_of(self.p_spoof, self._threshold)
        elif self.label == BONAFIDE and self.p_spoof >= self._to_spoof:
            self.label = SPOOF
        elif self.label == SPOOF and self.p_spoof < self._to_bonafide:
            self.label = BONAFIDE


def _moved(probability: float, log_odds: float) -> float:
    """The probability with its log odds moved; 0 and 1 stay."""
    if not 0 < probability < 1:
        return probability
    odds = probability / (1 - probability) * math.exp(log_odds)
    return odds / (1 + odds)
