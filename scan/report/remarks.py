"""What weakens verdicts, and what failed: counts of a few words, with an example of each error."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scan.report.counts import OTHERS, Groups
from scan.report.outcomes import ERROR

MAX_REMARKS = 200
COLUMNS = ("key", "conditions", "warnings", "reason", "error_code", "error_message")


@dataclass
class Failure:
    """Rows of one error code, and the first of them."""

    rows: int
    key: str
    message: str


class Remarks:
    """Counts of conditions, warnings and reasons by outcome, and of errors by code.

    Attributes:
        conditions: what weakens a recording's verdict.
        warnings: what else is said beside one.
        reasons: why a photo's verdict should not be relied on.
        incomplete: rows with a verdict and a message beside it, such as of windows that have no score.
        failures: errors by code.
    """

    def __init__(self) -> None:
        self.conditions, self.warnings, self.reasons = (Groups(MAX_REMARKS) for _ in range(3))
        self.incomplete = 0
        self.failures: dict[str, Failure] = {}

    def add(self, rows: pa.RecordBatch, outcome: Any) -> None:
        """Adds a batch of rows, with `COLUMNS`, and their outcomes, strings (rows,)."""
        for groups, lists in ((self.conditions, rows["conditions"]), (self.warnings, rows["warnings"])):
            _count(groups, pc.list_flatten(lists), pc.take(outcome, pc.list_parent_indices(lists)))
        said = pc.fill_null(pc.not_equal(rows["reason"], ""), False)
        _count(self.reasons, rows["reason"].filter(said), outcome.filter(said))
        failed = pc.equal(outcome, ERROR)
        self.incomplete += pc.sum(pc.and_not(pc.is_valid(rows["error_message"]), failed)).as_py() or 0
        self._fail(rows.filter(failed))

    def _fail(self, rows: pa.RecordBatch) -> None:
        codes = pc.fill_null(rows["error_code"], "unknown")
        for each in pc.value_counts(codes).to_pylist():
            code, count = each["values"], each["counts"]
            first = pc.index(codes, code).as_py()
            if code not in self.failures and len(self.failures) >= MAX_REMARKS:
                code = OTHERS
            if code in self.failures:
                self.failures[code].rows += count
            else:
                message = rows["error_message"][first].as_py() or ""
                self.failures[code] = Failure(count, rows["key"][first].as_py(), message)


def _count(groups: Groups, texts: Any, outcome: Any) -> None:
    groups.add(texts, outcome, pa.nulls(len(texts), pa.bool_()), pa.nulls(len(texts), pa.float64()))
