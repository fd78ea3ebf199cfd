"""The recordings and photos that look most suspicious, kept while a table of any length goes by."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_ORDER = [("rank", "descending"), ("key", "ascending")]


def ranks(rows: pa.RecordBatch) -> Any:
    """How suspicious each row is: its score; of a partially spoofed recording the highest score of its stretches.

    Args:
        rows: with `score`, `partially_spoofed` and `suspicious`.

    Returns:
        An array (rows,) of 0..1, null without a score.
    """
    stretches = rows["suspicious"]
    highest = np.zeros(len(rows))
    scores = pc.struct_field(pc.list_flatten(stretches), "score")
    np.maximum.at(highest, pc.list_parent_indices(stretches).to_numpy(), scores.to_numpy(zero_copy_only=False))
    partially = pc.fill_null(rows["partially_spoofed"], False)
    return pc.if_else(partially, pc.max_element_wise(rows["score"], pa.array(highest), skip_nulls=False), rows["score"])


class MostSuspicious:
    """The `limit` rows of the highest rank; of equal ones those whose keys come first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._best: pa.Table | None = None

    def add(self, rows: pa.RecordBatch) -> None:
        """Looks at a batch of rows, with the columns of `ranks`, `key`, and what is wanted of those that are kept."""
        table = pa.Table.from_batches([rows]).append_column("rank", ranks(rows))
        table = table.filter(pc.is_finite(table["rank"]))
        if self._best is not None:
            table = pa.concat_tables([self._best, table])
        # Copied by `take`, so that what is kept does not hold whole batches in memory.
        self._best = table.take(pc.select_k_unstable(table, k=min(self._limit, len(table)), sort_keys=_ORDER))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows, the most suspicious first, with `rank`."""
        return [] if self._best is None else self._best.sort_by(_ORDER).to_pylist()
