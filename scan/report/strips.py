"""A recording's windows as a strip of at most some hundred cells, in order of time."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_CELLS = 180
MAX_STRIPS = 8
"""Channels of one recording that are drawn."""


@dataclass
class Cell:
    """One window, or a few adjacent ones of a long recording.

    Attributes:
        start_s: seconds, of the first.
        end_s: seconds, of the last.
        score: the highest, P(spoof), 0..1; None: no speech in any.
        windows: how many.
    """

    start_s: float
    end_s: float
    score: float | None
    windows: int = 1

    def add(self, start_s: float, end_s: float, score: float | None) -> None:
        """Takes in one more window."""
        self.start_s, self.end_s = min(self.start_s, start_s), max(self.end_s, end_s)
        self.score = max((each for each in (self.score, score) if each is not None), default=None)
        self.windows += 1


@dataclass
class Strips:
    """Strips of some recordings, filled window by window, in any order.

    Attributes:
        per_cell: windows that share a cell, by key.
        cells: cells by key, channel and place.
    """

    per_cell: Mapping[str, int]
    cells: dict[str, dict[str | None, dict[int, Cell]]] = field(default_factory=dict)

    @classmethod
    def for_rows(cls, rows: Iterable[Mapping[str, Any]]) -> "Strips":
        """Empty strips for rows of the table of recordings."""
        return cls({row["key"]: -(-max(row["windows"] or 1, 1) // MAX_CELLS) for row in rows})

    def add(self, window: Mapping[str, Any]) -> None:
        """Takes in a row of the table of windows; of a channel beyond `MAX_STRIPS` it is left out."""
        key, start, end, score = (window[name] for name in ("key", "start", "end", "score"))
        if score is not None and math.isnan(score):
            score = None
        channels = self.cells.setdefault(key, {})
        if window["channel"] not in channels and len(channels) >= MAX_STRIPS:
            return
        cells = channels.setdefault(window["channel"], {})
        # The last one has the rest: where windows are missing, indices go beyond their number.
        place = min(window["index"] // self.per_cell[key], MAX_CELLS - 1)
        if place in cells:
            cells[place].add(start, end, score)
        else:
            cells[place] = Cell(start, end, score)

    def of(self, key: str) -> dict[str | None, list[Cell]]:
        """The strips of a recording by channel, each in order of time; none of a photo."""
        return {
            channel: [cells[place] for place in sorted(cells)] for channel, cells in self.cells.get(key, {}).items()
        }
