"""Cuts the mix of a recording's channels and each of them into the same windows, and hands out those to be judged.

In: blocks of any size. Out: windows of the mix until the channels part, then those of each channel; a channel's are
those that a recording of it alone would have, whenever the channels part.
"""

import copy

from bonafide.audio.channel_mode import ChannelMode, channel_samples, pieces
from bonafide.audio.mono import Block
from bonafide.audio.resampling import resample
from bonafide.audio.windows import Cut, WindowCutter

ChannelCut = tuple[int, int | None, Cut]
"""Index of a window, its channel (None: the mix of all), and its samples."""


class ChannelCutters:
    """The cutters of one recording, one for the mix and one for each channel that is or may be judged apart.

    Each holds less than two windows of samples.

    Attributes:
        rate: samples per second of what is fed.
        slots: places in time of which windows were handed out.
        judged: windows that were handed out, of all channels.
    """

    def __init__(self, rate: int, window_s: float, before_s: float, *, hop_s: float, mode: ChannelMode) -> None:
        """Starts empty.

        Args:
            rate: samples per second of what will be fed.
            window_s: length of a window in seconds.
            before_s: seconds before a window that are given with it.
            hop_s: seconds between the starts of two windows.
            mode: which channels are judged.
        """
        self.rate = rate
        self.slots = self.judged = 0
        self._firsts = 0
        self._window_s = window_s
        self._hop_s = hop_s
        self._before_s = before_s
        self._mode = mode
        self._mix = WindowCutter(rate, window_s, hop_s, before_s=before_s, exact=True)
        self._channels: dict[int, WindowCutter] = {}
        self._apart = False

    @property
    def unseen_samples(self) -> int:
        """Samples of one channel that no window has held yet."""
        return self._mix.unseen_samples

    @property
    def channels_now(self) -> int:
        """How many channels are judged at present; 1 for the mix."""
        return len(self._channels) if self._apart else 1

    @property
    def judged_s(self) -> float:
        """Seconds so far, those of each channel that is judged apart; parts that windows share count once."""
        held_s = self.judged * self._hop_s + self._firsts * (self._window_s - self._hop_s)
        return held_s + self.unseen_samples * self.channels_now / self.rate

    def feed(self, block: Block) -> list[ChannelCut]:
        """Takes a block and returns the windows that it completes.

        Raises:
            InvalidRequest: the block has no such channel.
            TooLarge: the block has too many channels to judge each.
        """
        for channel in self._mode.channels_apart(block.channels):
            if channel not in self._channels:
                self._channels[channel] = copy.deepcopy(self._mix)
        found: list[ChannelCut] = []
        for piece, apart in pieces(block, self._mode, self._apart):
            self._apart = apart
            of_mix = self._mix.feed(piece.samples)
            of_channels = {
                channel: cutter.feed(channel_samples(piece, self._mode, channel))
                for channel, cutter in self._channels.items()
            }
            for place, cut in enumerate(of_mix):
                found += self._taken(cut, {channel: cuts[place] for channel, cuts in of_channels.items()})
        return found

    def flush(self) -> list[ChannelCut]:
        """The last windows, if some samples were in none yet."""
        of_mix = self._mix.flush()
        of_channels = {channel: cutter.flush() for channel, cutter in self._channels.items()}
        if of_mix is None:
            return []
        return self._taken(of_mix, {channel: cut for channel, cut in of_channels.items() if cut is not None})

    def change_rate(self, rate: int) -> None:
        """Continues at another rate where the samples so far end."""
        self._mix = self._continued(self._mix, rate)
        self._channels = {channel: self._continued(cutter, rate) for channel, cutter in self._channels.items()}
        self.rate = rate

    def _taken(self, of_mix: Cut, of_channels: dict[int, Cut]) -> list[ChannelCut]:
        index = self.slots
        found: list[ChannelCut] = [(index, channel, of_channels[channel]) for channel in sorted(of_channels)]
        found = found if self._apart else [(index, None, of_mix)]
        self._firsts += len(found) if index == 0 else 0
        self.slots += 1
        self.judged += len(found)
        return found

    def _continued(self, cutter: WindowCutter, rate: int) -> WindowCutter:
        history, unseen, old_rate = cutter.rest
        resampled = resample(history[None], old_rate, rate)[0]
        continued = WindowCutter(rate, self._window_s, self._hop_s, resampled, self._before_s, exact=True)
        if len(history):
            continued.overlap(resampled)
        room = continued.window_samples - 1 - (continued.window_samples - continued.hop_samples if len(history) else 0)
        continued.feed(resample(unseen[None], old_rate, rate)[0][:room])
        return continued
