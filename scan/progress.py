"""Counts while a scan runs."""

from dataclasses import dataclass


@dataclass
class Progress:
    """Counts of objects.

    Attributes:
        total: to judge.
        done: of them, with a row.
        errors: of those, with an error.
        passing: of those, with an error that says nothing of the object, see `scan.result.TRANSIENT`.
        skipped: beside `total`, that have a row of an earlier run.
    """

    total: int = 0
    done: int = 0
    errors: int = 0
    passing: int = 0
    skipped: int = 0

    @property
    def finished(self) -> bool:
        """Whether nothing is left for the next run."""
        return self.done == self.total and not self.passing
