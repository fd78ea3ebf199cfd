"""Whether what was decoded can be the sound that was sent: remarks for the caller, as sentences.

In: windows as the model gets them, and the packets of silence. Out: nothing, or what is odd about them.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.levels import ModelInput

SILENT = "the audio decodes to silence, although its bytes are not silent: it is broken, or far too quiet"

LEAST_CANCELLED_S = 0.25
"""Less may be chance, and is not told."""
_FAINTEST = 2.0**-16  # half a step of 16 bit
_MOST_CODED = 1 << 20
_SILENT_BYTES_PER_S = 500.0  # of silence, compressed: the headers of its packets
_SILENT_SHARE = 0.01  # zlib's own, of a constant


class SilenceCheck:
    """Compares the packets of a recording that begins silent with what they decode to, as far as its first sound.

    What silence is coded as repeats itself: if its packets can hardly be compressed, it was no silence.
    """

    def __init__(self) -> None:
        self._heard = False
        self._compressor = zlib.compressobj(1)
        self._coded = self._compressed = 0
        self._seconds = 0.0

    def packet(self, data: bytes | memoryview) -> None:
        """Takes the bytes of a packet; past the first sound, or the first MiB, they do not matter."""
        if self.listening:
            self._coded += len(data)
            self._compressed += len(self._compressor.compress(data))

    def decoded(self, samples: NDArray[np.float32], rate: int) -> None:
        """Takes what came of the packets: float32 (n,) at `rate` Hz."""
        if self._heard:
            return
        self._heard = bool(np.abs(samples).max(initial=0.0) >= _FAINTEST)
        if self._coded <= _MOST_CODED:
            self._seconds += len(samples) / rate

    @property
    def listening(self) -> bool:
        """Whether packets still matter."""
        return not self._heard and self._coded <= _MOST_CODED

    @property
    def implausible(self) -> bool:
        """Whether nothing was heard so far, and the bytes are not those of silence."""
        if self._heard or not self._seconds:
            return False
        compressed = self._compressed + len(self._compressor.copy().flush())
        return compressed > _SILENT_BYTES_PER_S * self._seconds + _SILENT_SHARE * self._coded


class LevelRemarks:
    """Collects what is odd about the levels of a recording's or a session's windows."""

    def __init__(self) -> None:
        self._scaled_s: dict[float, float] = {}
        self._clipped_s = self._faint_s = 0.0
        self._heard = False

    def add(self, window: ModelInput, fresh_s: float) -> None:
        """Takes a window.

        Args:
            window: as the model gets it.
            fresh_s: seconds at its end that no earlier window held.
        """
        if window.divisor != 1.0:
            self._scaled_s[window.divisor] = self._scaled_s.get(window.divisor, 0.0) + fresh_s
        self._clipped_s += fresh_s * window.clipped
        self._faint_s += fresh_s * window.faint
        self._heard = self._heard or (not window.faint and bool(window.pcm.any()))

    def sentences(self) -> list[str]:
        """For the caller; none if all is as usual."""
        found = []
        if self._scaled_s:
            divisors = " or ".join(f"{divisor:.0f}" for divisor in sorted(self._scaled_s))
            found.append(
                f"{sum(self._scaled_s.values()):.1f} s hold samples far outside -1..1; "
                f"they were taken for integers and divided by {divisors}"
            )
        if self._clipped_s:
            found.append(f"{self._clipped_s:.1f} s are clipped: a fifth of the samples or more lie at full scale")
        if self._faint_s and not self._heard:
            found.append(SILENT)
        return found


def cancelled(seconds: float) -> str:
    """The remark on channels that cancel each other, see `Downmix`."""
    return f"the channels cancel each other out for {seconds:.1f} s; one of them was judged there, not their mean"
