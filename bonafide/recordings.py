"""One recording as groups of windows: from the cache while it has them, then by fetching and decoding it.

content id, fetch function -> groups of slots, each with its cached score or with the samples to be scored
"""

import itertools
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bonafide.audio.reader import WINDOW_SAMPLES, WINDOW_SECONDS, AudioLimits, Window, recorded_span, window_end
from bonafide.cache.cache import Cache, RecordingMeta
from bonafide.decoders.frames import Media
from bonafide.decoders.recordings import RecordingDecoder
from bonafide.verdict import WindowScore, WindowSpan
from models.info import ModelInfo

Fetch = Callable[[], AbstractAsyncContextManager[Media]]


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
        decoder: decodes what the cache does not hold.

    Attributes:
        hop_s: as given.
        total: windows in the recording, 0 until known.
        seconds: length, known after the iteration.
        warnings: for the caller, complete after the iteration.
        conditions: what weakens a verdict, by the names of `audio.conditions`; complete after the iteration.
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
        # Models that take other windows share no cached ones.
        self._windows_id = f"{content_id}+{before}" if before else content_id
        self.total = 0
        self.seconds = 0.0
        self.warnings: tuple[str, ...] = ()
        self.conditions: tuple[str, ...] = ()

    async def groups(self) -> AsyncGenerator[list[Slot], None]:
        """Yields all windows in order.

        Raises:
            BonafideError: raised by `fetch` or the decoder.
        """
        reached = 0
        if meta := await self._cache.get_recording(self._content_id):
            self.total, self.seconds = meta.windows, meta.seconds
            self.warnings, self.conditions = meta.warnings, meta.conditions
            async with aclosing(self._cached_groups(meta)) as cached:
                async for group in cached:
                    reached = group[-1].index + 1
                    yield group
            if reached == meta.windows:
                return
        async with aclosing(self._decoded_groups(after=reached)) as decoded:
            async for group in decoded:
                yield group

    async def remember(self, scores: Mapping[int, WindowScore]) -> None:
        """Caches scores of this recording's windows."""
        await self._cache.put_scores(self._content_id, self._model, scores)

    async def _cached_groups(self, meta: RecordingMeta) -> AsyncGenerator[list[Slot], None]:
        """Groups for as long as every window has a cached score or cached samples."""
        shortest = WINDOW_SAMPLES if meta.windows > 1 else 1
        lengths = range(shortest, WINDOW_SAMPLES + self._before + 1)
        for first in range(0, meta.windows, self._group):
            indices = range(first, min(first + self._group, meta.windows))
            scores = await self._cache.get_scores(self._content_id, self._model, indices, self._members)
            missing = [index for index in indices if index not in scores]
            windows = await self._cache.get_windows(self._windows_id, missing, lengths) if missing else {}
            if len(windows) < len(missing):
                return
            yield [
                _slot(
                    recorded_span(index, min(window_end(index, self.hop_s), meta.seconds), self.hop_s),
                    scores.get(index),
                    windows.get(index),
                )
                for index in indices
            ]

    async def _decoded_groups(self, after: int) -> AsyncGenerator[list[Slot], None]:
        """Groups of the windows from index `after` on; caches them."""
        count = 0
        async with (
            self._fetch() as data,
            self._decoder.open(data, self._limits, self._group, self._before, self.hop_s) as reader,
        ):
            while (windows := await reader.next_windows()) is not None:
                count += len(windows)
                windows = list(itertools.dropwhile(lambda window: window.index < after, windows))
                if windows:
                    yield await self._look_up(windows)
        self.total, self.seconds = count, reader.seconds
        self.warnings, self.conditions = tuple(reader.warnings), tuple(reader.conditions)
        meta = RecordingMeta(count, self.seconds, self.warnings, self.conditions)
        await self._cache.put_recording(self._content_id, meta)

    async def _look_up(self, windows: Sequence[Window]) -> list[Slot]:
        """Cached scores for decoded windows; the samples of windows without one are cached, for a retry."""
        indices = [window.index for window in windows]
        scores = await self._cache.get_scores(self._content_id, self._model, indices, self._members)
        fresh = {window.index: window.pcm for window in windows if window.index not in scores}
        if fresh:
            await self._cache.put_windows(self._windows_id, fresh)
        return [_slot(window, scores.get(window.index), fresh.get(window.index)) for window in windows]


def _slot(span: WindowSpan, score: WindowScore | None, pcm: NDArray[np.int16] | None) -> Slot:
    return Slot(span.index, span.start_s, span.end_s, span.fresh_s, score, pcm)
