"""Counts of outcomes by day, source, codec and the like, of bounded size however many rows there are."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from scan.report.outcomes import ERROR, JUDGED, OUTCOMES, SPOOF

MAX_GROUPS = 10_000
OTHERS = "(others)"
"""Where groups are counted together that come after the first `MAX_GROUPS`."""


@dataclass
class Counts:
    """Sums over recordings or photos.

    Attributes:
        by_outcome: rows by outcome.
        partially_spoofed: rows that are bona fide by their mean and hold suspicious stretches.
        seconds: of audio that was judged.
    """

    by_outcome: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    partially_spoofed: int = 0
    seconds: float = 0.0

    def add(self, other: "Counts") -> None:
        """Adds other rows."""
        for outcome, count in other.by_outcome.items():
            self.by_outcome[outcome] += count
        self.partially_spoofed += other.partially_spoofed
        self.seconds += other.seconds

    @property
    def rows(self) -> int:
        """Rows of any outcome."""
        return sum(self.by_outcome.values())

    @property
    def judged(self) -> int:
        """Rows with a verdict on them, uncertain ones too."""
        return sum(self.by_outcome[outcome] for outcome in JUDGED)

    @property
    def spoof_share(self) -> float | None:
        """Of the judged rows, 0..1; None: there are none."""
        return self.by_outcome[SPOOF] / self.judged if self.judged else None

    @property
    def error_share(self) -> float | None:
        """Of all rows, 0..1; None: there are none."""
        return self.by_outcome[ERROR] / self.rows if self.rows else None


class Groups:
    """Counts by the values of a column; of more than `limit` values the later ones are counted together."""

    def __init__(self, limit: int = MAX_GROUPS) -> None:
        self._limit = limit
        self.counts: dict[Any, Counts] = {}

    def of(self, value: Hashable) -> Counts:
        """The counts of a value, made when it is first met."""
        if value not in self.counts and len(self.counts) >= self._limit:
            value = OTHERS
        return self.counts.setdefault(value, Counts())

    def add(self, values: Any, outcome: Any, partially: Any, seconds: Any) -> None:
        """Adds a batch of rows.

        Args:
            values: array (rows,), what they are grouped by.
            outcome: strings (rows,), of `OUTCOMES`.
            partially: booleans or nulls (rows,).
            seconds: float64 or nulls (rows,).
        """
        batch = pa.table({"value": values, "outcome": outcome, "partially": partially, "seconds": seconds})
        sums = batch.group_by(["value", "outcome"]).aggregate(
            [([], "count_all"), ("partially", "sum"), ("seconds", "sum")]
        )
        for row in sums.to_pylist():
            counts = self.of(row["value"])
            counts.by_outcome[row["outcome"]] += row["count_all"]
            counts.partially_spoofed += row["partially_sum"] or 0
            counts.seconds += row["seconds_sum"] or 0.0
