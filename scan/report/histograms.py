"""How the scores of each model lie between 0 and 1, with the thresholds they were compared with."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BINS = 50
MAX_MODELS = 50
MAX_THRESHOLDS = 20


class Model(NamedTuple):
    """What judged; different fingerprints never share a histogram."""

    task: str
    name: str
    version: str
    fingerprint: str
    demo: bool


COLUMNS = ("task", "model_name", "model_version", "model_fingerprint", "demo")
_OTHERS = Model("", "(other models)", "", "", False)


@dataclass
class Histogram:
    """Scores of one model.

    Attributes:
        bins: counts of `BINS` equal parts of 0..1; a score of 1 lies in the last.
        thresholds: rows by threshold; at or above it a score means spoof.
        rows: all rows of this model, those without a score too.
    """

    bins: list[int] = field(default_factory=lambda: [0] * BINS)
    thresholds: Counter[float] = field(default_factory=Counter)
    rows: int = 0

    @property
    def scores(self) -> int:
        """Rows with a score."""
        return sum(self.bins)


class Histograms:
    """Histograms by model; after `MAX_MODELS` models the others share one."""

    def __init__(self) -> None:
        self.of_model: dict[Model, Histogram] = {}

    def add(self, rows: pa.RecordBatch) -> None:
        """Adds a batch of rows, with `COLUMNS`, `score` and `threshold`."""
        score = pc.if_else(pc.is_finite(rows["score"]), rows["score"], None)
        place = np.clip(np.floor(score.fill_null(0.0).to_numpy(zero_copy_only=False) * BINS), 0, BINS - 1)
        columns = {name: rows[name] for name in COLUMNS}
        found = pa.table(
            {**columns, "threshold": rows["threshold"], "bin": place.astype(np.int32), "scored": pc.is_valid(score)}
        )
        sums = found.group_by([*columns, "threshold", "bin", "scored"]).aggregate([([], "count_all")])
        for row in sums.to_pylist():
            self._add(Model(*(row[name] for name in COLUMNS)), row)

    def _add(self, model: Model, row: dict[str, Any]) -> None:
        if model not in self.of_model and len(self.of_model) >= MAX_MODELS:
            model = _OTHERS
        histogram = self.of_model.setdefault(model, Histogram())
        count, threshold = row["count_all"], row["threshold"]
        histogram.rows += count
        if row["scored"]:
            histogram.bins[row["bin"]] += count
        if threshold is not None and (threshold in histogram.thresholds or len(histogram.thresholds) < MAX_THRESHOLDS):
            histogram.thresholds[threshold] += count
