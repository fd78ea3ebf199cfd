"""The use case, on a store that answers at once."""

import time
from unittest.mock import create_autospec

from bonafide.jobs.job import Job
from bonafide.jobs.jobs import Jobs
from bonafide.jobs.store import JobStore
from bonafide.storage.store import ObjectStore


async def test_results_are_read_some_at_a_time_since_each_may_be_large() -> None:
    documents = [str(index) for index in range(230)]
    job = Job("0" * 32, "ann", "calls", "normal", "done", len(documents), time.time())
    store = create_autospec(JobStore)
    store.get.return_value = job
    store.results.side_effect = lambda _job_id, after, count, _most_bytes: documents[after : after + count]
    jobs = Jobs(store, create_autospec(ObjectStore), allowed_buckets=(), max_keys=1000, callbacks=())
    pages = [page async for page in jobs.results(job.job_id, "ann", 5)]
    assert max(map(len, pages)) <= 100
    assert [document for page in pages for document in page] == documents[5:]
