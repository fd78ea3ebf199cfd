"""Where jobs are kept, as the use case and the worker see it; `opening` has the two stores.

A worker takes items for a time (`lease_s`) and renews what it holds. What is not renewed, because its process has died,
is taken by another. Of two outcomes of one item the first stands.
"""

from collections.abc import Sequence
from typing import Protocol

from bonafide.errors import Overloaded
from bonafide.jobs.job import Item, Job, Outcome


class JobStore(Protocol):
    """Keeps jobs, their items and results. All methods raise `Unavailable` while the store cannot be reached."""

    async def create(self, job: Job, keys: Sequence[str]) -> Job:
        """Keeps a new job, all of it or nothing.

        Returns:
            It, or the caller's earlier one with the same idempotency key.

        Raises:
            Overloaded: the caller has as many unfinished jobs as allowed.
        """

    async def find(self, caller: str, idempotency_key: str) -> Job | None:
        """The caller's job with this key, which is not empty."""

    async def get(self, job_id: str) -> Job | None:
        """A job; None: there is none, or it is no longer kept."""

    async def cancel(self, job_id: str) -> None:
        """Ends a job unless it has ended; its items are no longer taken, and its results stay."""

    async def results(self, job_id: str, after: int, count: int, most_bytes: int) -> list[str]:
        """The documents of some outcomes, in the order in which they came, without the first `after`.

        They are `count` at most, and have `most_bytes` together, unless the first alone has more.
        """

    async def take(self) -> Item | None:
        """The next item: of the highest priority, of jobs of one priority in turn. None: there is none to take now."""

    async def renew(self, items: Sequence[Item]) -> None:
        """Holds items for another `lease_s`."""

    async def finish(self, item: Item, outcome: Outcome) -> bool:
        """Keeps the outcome; False: the item has one already, or its job has been cancelled or is gone."""

    async def give_back(self, item: Item) -> None:
        """Lets another worker take the item at once; this taking does not count as a try."""

    async def waiting(self) -> int:
        """Items of unfinished jobs that have no outcome."""

    async def take_callback(self, again_s: float) -> tuple[Job, int] | None:
        """A job that is done and whose caller is to be told, with the number of this attempt, from 1.

        It is due again after `again_s` seconds, unless `end_callback` comes before.
        """

    async def end_callback(self, job_id: str) -> None:
        """The caller has been told, or never will be."""

    async def prune(self) -> None:
        """Forgets jobs to which nothing has happened for as long as results are kept."""

    async def close(self) -> None:
        """Closes the connection."""


def too_many_jobs(limit: int) -> Overloaded:
    """The refusal of a job over the caller's limit."""
    return Overloaded(f"{limit} jobs of this caller have not ended, which is the limit", retry_after_s=60.0)
