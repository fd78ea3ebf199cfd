"""Two tracks of a call, whose media arrive apart, as interleaved channels. Bounded; G.711, a byte for each sample."""

from bonafide.live.input_decoder import Encoding

MOST_AHEAD = 8_000
"""Samples that one track may be ahead of the other: a second. Then silence stands for what the other has not sent."""
SILENCE: dict[Encoding, bytes] = {"mulaw": b"\xff", "alaw": b"\xd5"}
"""Encodings of which tracks can be interleaved, with their silence."""


class Tracks:
    """Pairs the samples of two tracks in the order in which they come.

    Args:
        first: name of the track that becomes channel 0.
        second: name of the track that becomes channel 1.
        encoding: of both, one of `SILENCE`.
    """

    def __init__(self, first: str, second: str, encoding: Encoding) -> None:
        self.names = (first, second)
        self._waiting = {first: b"", second: b""}
        self._silence = SILENCE[encoding]

    def add(self, track: str, data: bytes) -> bytes:
        """The interleaved samples that are complete now; media of any other track are skipped."""
        if track in self._waiting:
            self._waiting[track] += data
            self._fill(MOST_AHEAD)
        return self._paired()

    def rest(self) -> bytes:
        """What waits, at the end of the call."""
        self._fill(0)
        return self._paired()

    def _fill(self, most_ahead: int) -> None:
        """Adds silence to the track that is further behind than so many samples."""
        longest = max(map(len, self._waiting.values()))
        for track, waiting in self._waiting.items():
            missing = longest - most_ahead - len(waiting)
            if missing > 0:
                self._waiting[track] = waiting + self._silence * missing

    def _paired(self) -> bytes:
        whole = min(map(len, self._waiting.values()))
        pairs = bytearray(2 * whole)
        for place, (track, waiting) in enumerate(self._waiting.items()):
            pairs[place::2] = waiting[:whole]
            self._waiting[track] = waiting[whole:]
        return bytes(pairs)
