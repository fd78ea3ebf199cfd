"""The cutters of a session: one for the mix of all channels, and one for each channel that is or may be judged apart.

In: blocks of any size. Out: windows of the mix until the channels part, then those of each channel. All cutters hold
equally many samples, so that windows of several channels lie at the same place. See `audio.channel_cutters`
for recordings.
"""

import copy

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.channel_mode import AUTO, ChannelMode, channel_samples, pieces
from bonafide.audio.mono import Block
from bonafide.audio.resampling import SAMPLE_RATE, resample
from bonafide.audio.windows import Cut, Rest, WindowCutter

ChannelCuts = list[tuple[int | None, Cut]]
"""The windows at one place, by their channel; None: of the mix, which then is the only one."""
Samples = dict[int | None, NDArray[np.float32]]
"""Equally many of each channel, float32 (n,); None: of the mix."""


class LiveChannelCutters:
    """Cuts the audio of a session; windows may become longer or shorter, and the rate another, between two blocks.

    Attributes:
        mode: which channels are judged; not to be changed once there was audio.
        apart: whether windows are those of channels now, and not of the mix.
    """

    def __init__(self) -> None:
        self.mode: ChannelMode = AUTO
        self.apart = False
        self._cutters: dict[int | None, WindowCutter] = {}
        self._rests: dict[int | None, Rest] = {None: _nothing(SAMPLE_RATE)}

    @property
    def cutting(self) -> bool:
        """Whether there are cutters; else samples wait for them."""
        return bool(self._cutters)

    @property
    def rate(self) -> int:
        """Sample rate of the latest audio, in Hz."""
        return self._cutters[None].rate if self._cutters else self._rests[None].rate

    @property
    def unseen_samples(self) -> int:
        """Samples of one channel that no window has held yet."""
        return self._cutters[None].unseen_samples if self._cutters else len(self._rests[None].unseen)

    @property
    def window_samples(self) -> int:
        """Length of a window, while there are cutters."""
        return self._cutters[None].window_samples

    @property
    def judged_now(self) -> int:
        """How many channels are judged at present; 1 for the mix."""
        return len(self._cutters or self._rests) - 1 if self.apart else 1

    def stop(self) -> int:
        """Takes the samples with which the next cutters continue out of the present ones; returns how many are new."""
        if self._cutters:
            self._rests = {channel: cutter.rest for channel, cutter in self._cutters.items()}
            self._cutters = {}
        return len(self._rests[None].unseen)

    def begin(self, rate: int, window_s: float, hop_s: float, before_s: float) -> tuple[int, list[ChannelCuts]]:
        """Begins to cut at a rate, in windows of a length; the arguments are those of `WindowCutter`.

        Returns:
            How many samples of one channel have waited, at the new rate; and the windows that they complete.
        """
        waiting: Samples = {}
        for channel, rest in self._rests.items():
            history, unseen = (resample(part[np.newaxis], rest.rate, rate)[0] for part in rest[:2])
            self._cutters[channel] = WindowCutter(rate, window_s, hop_s, history, before_s)
            waiting[channel] = unseen
        return len(waiting[None]), self._cut(waiting)

    def feed(self, block: Block) -> list[ChannelCuts]:
        """Takes a block at the present rate and returns the windows that it completes, in order.

        Raises:
            BonafideError: see `ChannelMode.channels_apart`; nothing is taken.
        """
        for channel in self.mode.channels_apart(block.channels):
            if channel not in self._cutters:
                self._cutters[channel] = copy.deepcopy(self._cutters[None])
        found: list[ChannelCuts] = []
        for piece, apart in pieces(block, self.mode, self.apart):
            self.apart = apart
            found += self._cut(
                {
                    channel: piece.samples if channel is None else channel_samples(piece, self.mode, channel)
                    for channel in self._cutters
                }
            )
        return found

    def flush(self) -> ChannelCuts:
        """The last windows, if some samples were in none yet."""
        cuts = {channel: cutter.flush() for channel, cutter in self._cutters.items()}
        return self._told({channel: cut for channel, cut in cuts.items() if cut is not None})

    def _cut(self, samples: Samples) -> list[ChannelCuts]:
        cuts = {channel: self._cutters[channel].feed(new) for channel, new in samples.items()}
        return [
            self._told({channel: of_channel[place] for channel, of_channel in cuts.items()})
            for place in range(len(cuts[None]))
        ]

    def _told(self, cuts: dict[int | None, Cut]) -> ChannelCuts:
        """Those at one place that are judged."""
        return sorted(
            ((channel, cut) for channel, cut in cuts.items() if (channel is not None) == self.apart),
            key=lambda each: -1 if each[0] is None else each[0],
        )


def _nothing(rate: int) -> Rest:
    return Rest(np.zeros(0, np.float32), np.zeros(0, np.float32), rate)
