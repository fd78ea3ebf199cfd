"""One recording as groups of windows: from the cache while it has them, then by fetching and decoding it.

content id, fetch function -> groups of slots, each with its cached score or with the samples to be scored
"""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.channel_mode import MIX, ChannelMode
from bonafide.audio.reader import WINDOW_SAMPLES, WINDOW_SECONDS, AudioLimits, Window, recorded_span, window_end
from bonafide.cache.cache import Cache, RecordingMeta
from bonafide.cache.codec import ApartChannel
from bonafide.decoders.frames import Media
from bonafide.decoders.recordings import RecordingDecoder
from bonafide.verdict import WindowScore, WindowSpan
from models.info import ModelInfo

Fetch = Callable[[], AbstractAsyncContextManager[Media]]
Place = tuple[int, int | None]
"""Index and channel of a window; None: the mix of all."""


@dataclass(frozen=True)
class Slot(WindowSpan):
    """One window: either `score` or `pcm` is set.

    Attributes:
        score: from the cache.
        pcm: int16 (n,), 16 kHz mono; (64000,) unless the recording is shorter, and what lies before them.
    """

    score: WindowScore | None = None
    pcm: NDArray[np.int16] | None = None


class Recording:
    """Iterates over one recording once, in order.

    Args:
        content_id: identifies the content; the cache key.
        fetch: fetches the bytes and holds them; entered only when the cache is not sufficient.
        model: whose cached scores count.
        group: windows per group.
        before: samples before each window that are given with it, see `AudioReader`.
        hop_s: seconds between the starts of two windows.
        mode: which channels are judged.
        decoder: decodes what the cache does not hold.

    Attributes:
        hop_s: as given.
        mode: as given.
        total: windows in the recording, of all channels that are judged, 0 until known.
        seconds: length, known after the iteration.
        warnings: for the caller, complete after the iteration.
        channels: that have a verdict each, complete after the iteration; none of a recording that is judged as one.
    """

    def __init__(
        self,
        content_id: str,
        fetch: Fetch,
        *,
        model: ModelInfo,
        group: int,
        cache: Cache,
        decoder: RecordingDecoder,
        limits: AudioLimits,
        before: int = 0,
        hop_s: float = WINDOW_SECONDS,
        mode: ChannelMode = MIX,
    ) -> None:
        # Windows that start elsewhere are others: nothing of them is shared.
        content_id = content_id if hop_s == WINDOW_SECONDS else f"hop-{hop_s!r}+{content_id}"
        self._content_id = content_id
        self._fetch = fetch
        self._model = model.fingerprint
        self._members = len(model.members)
        self._group = group
        self._cache = cache
        self._decoder = decoder
        self._limits = limits
        self._before = before
        self.hop_s = hop_s
        self.mode = mode
        # What a choice of channels makes of a recording is known by the choice; of its windows see `_content_of`.
        meta_id = content_id if mode.kind == "mix" else f"{content_id}#{mode}"
        # Nor that a recording is within other limits, which another process may have, or this one before its restart.
        self._meta_id = f"{meta_id}<{limits.max_seconds!r}-{limits.max_channels}-{limits.max_sample_rate}"
        self.total = 0
        self.seconds = 0.0
        self.warnings: tuple[str, ...] = ()
        self.channels: tuple[int, ...] = ()
        self._conditions: dict[int | None, tuple[str, ...]] = {}

    def conditions_of(self, channel: int | None) -> tuple[str, ...]:
        """What weakens a verdict on a channel, by the names of `audio.conditions`; None: on the mix of all.

        Complete after the iteration.
        """
        return self._conditions.get(channel, self._conditions.get(None, ()))

    async def groups(self) -> AsyncGenerator[list[Slot], None]:
        """Yields all windows in order.

        Raises:
            BonafideError: raised by `fetch` or the decoder.
        """
        reached = 0
        if meta := await self._cache.get_recording(self._meta_id):
            self._read(meta)
            async with aclosing(self._cached_groups(meta)) as cached:
                async for group in cached:
                    reached += len(group)
                    yield group
            if reached == self.total:
                return
        async with aclosing(self._decoded_groups(after=reached)) as decoded:
            async for group in decoded:
                yield group

    async def remember(self, scores: Mapping[Place, WindowScore]) -> None:
        """Caches scores of this recording's windows."""
        for channel, of_channel in _by_channel(scores).items():
            of_index = {index: scores[index, channel] for index in of_channel}
            await self._cache.put_scores(self._content_of(channel), self._model, of_index)

    def _content_of(self, channel: int | None, windows: bool = False) -> str:
        """The id under which windows of a channel, or their scores, are cached; None: the mix of all."""
        # Where a recording goes on with more channels, `auto` has the mix of them in a channel that it judges apart.
        kind = "auto-" if self.mode.kind == "auto" else ""
        content_id = self._content_id if channel is None else f"{self._content_id}#{kind}c{channel}"
        # Models that take other windows share no cached ones.
        return f"{content_id}+{self._before}" if windows and self._before else content_id

    def _read(self, meta: RecordingMeta) -> None:
        self.total = len(_places(meta))
        self.seconds, self.warnings = meta.seconds, meta.warnings
        self.channels = self.mode.judged(tuple(each.channel for each in meta.apart))
        self._conditions = {None: meta.conditions, **{each.channel: each.conditions for each in meta.apart}}

    async def _cached_groups(self, meta: RecordingMeta) -> AsyncGenerator[list[Slot], None]:
        """Groups for as long as every window has a cached score or cached samples."""
        shortest = WINDOW_SAMPLES if meta.windows > 1 else 1
        lengths = range(shortest, WINDOW_SAMPLES + self._before + 1)
        places = _places(meta)
        for first in range(0, len(places), self._group):
            group = places[first : first + self._group]
            scores = await self._cached_scores(group)
            windows: dict[Place, NDArray[np.int16]] = {}
            for channel, missing in _by_channel([place for place in group if place not in scores]).items():
                found = await self._cache.get_windows(self._content_of(channel, windows=True), missing, lengths)
                windows |= {(index, channel): pcm for index, pcm in found.items()}
            if len(scores) + len(windows) < len(group):
                return
            yield [
                _slot(
                    replace(
                        recorded_span(index, min(window_end(index, self.hop_s), meta.seconds), self.hop_s),
                        channel=channel,
                    ),
                    scores.get((index, channel)),
                    windows.get((index, channel)),
                )
                for index, channel in group
            ]

    async def _decoded_groups(self, after: int) -> AsyncGenerator[list[Slot], None]:
        """Groups of the windows behind the first `after`; caches them."""
        count = slots = 0
        first_windows: dict[int, int] = {}
        async with (
            self._fetch() as data,
            self._decoder.open(
                data, self._limits, self._group, self._before, hop_s=self.hop_s, mode=self.mode
            ) as reader,
        ):
            while (windows := await reader.next_windows()) is not None:
                slots = windows[-1].index + 1 if windows else slots
                for window in windows:
                    if window.channel is not None:
                        first_windows.setdefault(window.channel, window.index)
                skipped = max(0, after - count)
                count += len(windows)
                if windows := windows[skipped:]:
                    yield await self._look_up(windows)
        apart = tuple(
            ApartChannel(channel, first, tuple(reader.channel_conditions.get(channel, ())))
            for channel, first in sorted(first_windows.items())
        )
        meta = RecordingMeta(slots, reader.seconds, tuple(reader.warnings), tuple(reader.conditions), apart)
        self._read(meta)
        await self._cache.put_recording(self._meta_id, meta)

    async def _look_up(self, windows: Sequence[Window]) -> list[Slot]:
        """Cached scores for decoded windows; the samples of windows without one are cached, for a retry."""
        scores = await self._cached_scores([window.place for window in windows])
        fresh = {window.place: window.pcm for window in windows if window.place not in scores}
        for channel, indices in _by_channel(fresh).items():
            samples = {index: fresh[index, channel] for index in indices}
            await self._cache.put_windows(self._content_of(channel, windows=True), samples)
        return [_slot(window, scores.get(window.place), fresh.get(window.place)) for window in windows]

    async def _cached_scores(self, places: Sequence[Place]) -> dict[Place, WindowScore]:
        scores: dict[Place, WindowScore] = {}
        for channel, indices in _by_channel(places).items():
            found = await self._cache.get_scores(self._content_of(channel), self._model, indices, self._members)
            scores |= {(index, channel): score for index, score in found.items()}
        return scores


def _places(meta: RecordingMeta) -> list[Place]:
    """The windows of a recording in order: those of the mix, then those of each channel that was judged apart."""
    if not meta.apart:
        return [(index, None) for index in range(meta.windows)]
    parted = min(each.first for each in meta.apart)
    of_mix: list[Place] = [(index, None) for index in range(min(parted, meta.windows))]
    return of_mix + [
        (index, apart.channel) for index in range(parted, meta.windows) for apart in meta.apart if index >= apart.first
    ]


def _by_channel(places: Iterable[Place]) -> dict[int | None, list[int]]:
    found: dict[int | None, list[int]] = {}
    for index, channel in places:
        found.setdefault(channel, []).append(index)
    return found


def _slot(span: WindowSpan, score: WindowScore | None, pcm: NDArray[np.int16] | None) -> Slot:
    return Slot(span.index, span.start_s, span.end_s, span.fresh_s, score, pcm, channel=span.channel)
