"""Jobs for tests of the stores."""

import time
import uuid

from bonafide.jobs.job import Item, Job, Outcome, Priority
from bonafide.jobs.store import JobStore


def job(total: int, *, caller: str = "ann", priority: Priority = "normal", **fields: str) -> Job:
    return Job(uuid.uuid4().hex, caller, "calls", priority, "waiting", total, time.time(), **fields)  # type: ignore[arg-type]


async def created(store: JobStore, total: int, **fields: str) -> Job:
    made = job(total, **fields)  # type: ignore[arg-type]
    return await store.create(made, [f"{made.job_id}/{index}.wav" for index in range(total)])


async def taken(store: JobStore) -> Item:
    item = await store.take()
    assert item is not None
    return item


def verdict(item: Item) -> Outcome:
    return Outcome(True, f'{{"index":{item.index}}}')
